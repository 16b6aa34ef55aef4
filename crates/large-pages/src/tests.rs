//! Tests that regions lie beside each other and never share a byte.

use std::io;

use crate::{ALIGNMENT, Arena, LARGE_PAGE, Region};

fn is_filled(region: &Region, value: u8) -> bool {
    region.iter().all(|byte| *byte == value)
}

#[test]
fn regions_are_zeros_of_the_length_asked_for() {
    let mut arena = Arena::new(1);
    for len in [0, 1, 63, 64, 65, 5_000, LARGE_PAGE + 1] {
        let region = arena.allocate(len).expect("there is memory");
        assert_eq!(region.len(), len);
        assert!(is_filled(&region, 0));
        assert!(region.as_ptr().addr().is_multiple_of(ALIGNMENT));
    }
}

#[test]
fn regions_do_not_overlap_and_outlive_their_arena() {
    let mut arena = Arena::new(LARGE_PAGE);
    let mut regions: Vec<Region> = (0..100_u8)
        .map(|idx| {
            // Some fit into the chunk of the previous one, some don't, and some are larger than a chunk.
            let mut region = arena
                .allocate(usize::from(idx % 11) * 301_003)
                .expect("there is memory");
            region.fill(idx);
            region
        })
        .collect();
    drop(arena);
    for (idx, region) in (0..).zip(&regions) {
        assert!(is_filled(region, idx), "region {idx} was written to by another");
    }
    regions.retain(|region| region.len() > 1_000_000);
    for region in &mut regions {
        region.fill(0xee);
    }
    assert!(regions.iter().all(|region| is_filled(region, 0xee)));
}

#[test]
fn regions_of_a_chunk_follow_each_other() {
    let mut arena = Arena::new(LARGE_PAGE);
    let starts: Vec<usize> = (0..4)
        .map(|_| arena.allocate(100).expect("there is memory").as_ptr().addr())
        .collect();
    assert!(starts[0].is_multiple_of(LARGE_PAGE));
    assert_eq!(starts, [0, 128, 256, 384].map(|offset| starts[0] + offset));
}

#[test]
fn regions_of_one_chunk_may_move_to_other_threads() {
    let mut arena = Arena::new(LARGE_PAGE);
    let regions: Vec<Region> = (0..8)
        .map(|_| arena.allocate(10_000).expect("there is memory"))
        .collect();
    let threads: Vec<_> = (0..)
        .zip(regions)
        .map(|(idx, mut region)| {
            std::thread::spawn(move || {
                region.fill(idx);
                region
            })
        })
        .collect();
    for (idx, thread) in (0..).zip(threads) {
        assert!(is_filled(&thread.join().expect("it only fills"), idx));
    }
}

#[test]
fn a_length_that_no_system_has_is_refused() {
    for len in [usize::MAX, usize::MAX - ALIGNMENT, usize::MAX / 2] {
        let refused: io::Result<Region> = Arena::new(1).allocate(len);
        refused.expect_err("no system has so much");
    }
}
