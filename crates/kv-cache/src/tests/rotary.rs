//! Tests that angles keep their distances at any position of a stream.

use crate::RotaryTable;

/// Returns cosine and sine of every pair at `position`.
fn angles(table: &RotaryTable, position: u64) -> Vec<(f32, f32)> {
    let (mut cos, mut sin) = (Vec::new(), Vec::new());
    table.extend(position, &mut cos, &mut sin);
    cos.into_iter().zip(sin).collect()
}

/// Checks that the angle between two positions equals the angle of their distance, up to the precision of f32.
#[track_caller]
fn check_distance(base: f64, position: u64, distance: u64) {
    let table = RotaryTable::new(64, base);
    let (near, far, expected) = (
        angles(&table, position - distance),
        angles(&table, position),
        angles(&table, distance),
    );
    for (pair, ((near, far), expected)) in near.into_iter().zip(far).zip(expected).enumerate() {
        let (c1, s1) = (f64::from(near.0), f64::from(near.1));
        let (c2, s2) = (f64::from(far.0), f64::from(far.1));
        let (cos, sin) = (c1 * c2 + s1 * s2, s2 * c1 - c2 * s1);
        let error = (cos - f64::from(expected.0))
            .abs()
            .max((sin - f64::from(expected.1)).abs());
        assert!(
            error < 2.5e-7,
            "pair {pair} of {position} and {distance} before it is off by {error:e}"
        );
    }
}

#[test]
fn distances_keep_their_angle_at_a_billion() {
    for base in [10_000.0, 100_000.0, 500_000.0] {
        for position in [2_100, 1_000_003, 1_000_000_007, 4_000_000_000_039] {
            for distance in [1, 3, 252, 2_048] {
                check_distance(base, position, distance);
            }
        }
    }
}

#[test]
fn the_first_pair_rotates_by_one_radian_per_token_and_later_ones_by_powers_of_the_base() {
    let table = RotaryTable::new(4, 100.0);
    assert_eq!(table.n_pairs(), 2);
    let expected = [
        (3.0_f64.cos() as f32, 3.0_f64.sin() as f32),
        (0.3_f64.cos() as f32, 0.3_f64.sin() as f32),
    ];
    assert_eq!(angles(&table, 3), expected);
}
