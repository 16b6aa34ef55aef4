//! Norms and gates against the same formulas in f64.

use crate::model::cpu::elementwise::{exp, gated, normed, rms_scale};

fn row(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * 0.71).sin() * 4.0).collect()
}

#[track_caller]
fn check_close(got: f32, expected: f64, tolerance: f64) {
    let error = (f64::from(got) - expected).abs();
    assert!(error <= tolerance * expected.abs(), "{got} instead of {expected}");
}

#[test]
fn exponentials_are_as_exact_as_f32() {
    for i in -87_000..=88_000 {
        let x = i as f32 / 1_000.0;
        check_close(exp(x), f64::from(x).exp(), 2.5e-7);
    }
    assert!(exp(-1e30) < 2e-38);
    assert!(exp(1e30).is_finite());
    assert!(exp(f32::NAN).is_nan());
    assert_eq!(exp(0.0), 1.0);
}

#[test]
fn a_norm_is_the_formula_for_whole_arrays_and_others() {
    for len in [1, 7, 8, 64, 577] {
        let x = row(len);
        let mean = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / len as f64;
        check_close(rms_scale(&x, 1e-5), 1.0 / (mean + 1e-5).sqrt(), 1e-6);
    }
    let x: [f32; 32] = std::array::from_fn(|i| i as f32);
    assert_eq!(normed(&x, 0.5, &[3.0; 32]), x.map(|x| x * 1.5));
}

#[test]
fn a_gate_is_the_formula_even_where_it_is_closed() {
    let mut gate = [0.0; 64];
    gate[..58].copy_from_slice(&row(58));
    gate[58..].copy_from_slice(&[0.0, -90.0, -200.0, 90.0, 1e30, -1e30]);
    let (gates, _) = gate.as_chunks();
    for gate in gates {
        for (out, gate) in gated(gate, &[-2.0; 32]).iter().zip(gate) {
            let gate = f64::from(*gate);
            let expected = gate / (1.0 + (-gate).exp()) * -2.0;
            if gate > -80.0 {
                check_close(*out, expected, 1e-6);
            } else {
                // A closed gate lets through at most what the smallest exponential does.
                assert!(f64::from(*out).abs() <= gate.abs() * 2e-37, "{out} for {gate}");
            }
        }
    }
}
