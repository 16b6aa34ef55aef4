//! The sampler against a naive version that sorts all tokens and computes every formula as it is defined.

use engine::Options;

use crate::SampleError;
use crate::sampler::{Draw, Sampler};

/// Returns logits like a model's, from a small linear congruential generator: most are far below the best.
fn logits(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let unit = (state >> 40) as f32 / (1_u64 << 24) as f32;
        // Cubed, so that few are high.
        unit * unit * unit * 24.0 - 12.0
    };
    (0..count).map(next).collect()
}

/// Returns all tokens that may be drawn and their probabilities, in the order of the draw, by the formulas as they are
/// defined.
fn naive(logits: &[f32], options: &Options, recent: &[u32]) -> Vec<(u32, f64)> {
    let mut scaled: Vec<(u32, f64)> = (0_u32..).zip(logits.iter().map(|&logit| f64::from(logit))).collect();
    for (id, logit) in &mut scaled {
        let penalty = f64::from(options.repeat_penalty);
        if recent.contains(id) {
            *logit = if *logit > 0.0 {
                *logit / penalty
            } else {
                *logit * penalty
            };
        }
        *logit /= f64::from(options.temperature);
    }
    let best = scaled.iter().map(|token| token.1).fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = scaled.iter().map(|token| (token.1 - best).exp()).sum();
    let mut tokens: Vec<(u32, f64)> = scaled
        .iter()
        .map(|&(id, logit)| (id, (logit - best).exp() / total))
        .collect();
    let is_sorted = options.top_k > 0 && (options.top_k as usize) < logits.len() || options.top_p < 1.0;
    if is_sorted {
        tokens.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    }
    if options.top_k > 0 {
        tokens.truncate(options.top_k as usize);
    }
    if options.top_p < 1.0 {
        let mass: f64 = tokens.iter().map(|token| token.1).sum();
        let mut reached = 0.0;
        let last = tokens.iter().position(|token| {
            reached += token.1 / mass;
            reached >= f64::from(options.top_p) - 1e-9
        });
        tokens.truncate(last.map_or(tokens.len(), |last| last + 1));
    }
    let most = tokens.iter().map(|token| token.1).fold(0.0, f64::max);
    tokens.retain(|token| token.1 >= most * f64::from(options.min_p));
    let mass: f64 = tokens.iter().map(|token| token.1).sum();
    tokens.iter_mut().for_each(|token| token.1 /= mass);
    tokens
}

#[track_caller]
fn check(options: &Options) {
    let mut sampler = Sampler::default();
    let recent = [3, 70, 3, 511];
    for (count, seed) in [(1, 1), (7, 2), (512, 3), (5_000, 4), (49_152, 5)] {
        let logits = logits(count, seed);
        let expected = naive(&logits, options, &recent);
        for token_idx in 0..50 {
            let draw = Draw { seed, token_idx };
            let chosen = sampler
                .sample(&mut logits.clone(), options, &recent, draw)
                .expect("all logits are finite");
            let mut reached = 0.0;
            let is_at_draw = expected.iter().any(|&(id, probability)| {
                let from = reached;
                reached += probability;
                // The sampler's weights are f32: a draw this close to a border may fall on either side.
                id == chosen && from - 1e-5 <= draw.unit() && draw.unit() < reached + 1e-5
            });
            assert!(
                is_at_draw,
                "{chosen} of {count} at {} with {options:?}: {:?}",
                draw.unit(),
                &expected[..expected.len().min(8)]
            );
        }
    }
}

fn plain() -> Options {
    Options {
        top_p: 1.0,
        temperature: 1.0,
        ..Options::default()
    }
}

#[test]
fn draws_follow_the_naive_distribution() {
    check(&plain());
    check(&Options {
        temperature: 0.2,
        ..plain()
    });
    check(&Options {
        temperature: 3.0,
        ..plain()
    });
    check(&Options { top_k: 1, ..plain() });
    check(&Options {
        top_k: 40,
        temperature: 2.0,
        ..plain()
    });
    check(&Options { top_p: 0.9, ..plain() });
    check(&Options {
        top_p: 0.999,
        temperature: 5.0,
        ..plain()
    });
    check(&Options { min_p: 0.1, ..plain() });
    check(&Options {
        top_k: 20,
        top_p: 0.8,
        min_p: 0.05,
        temperature: 1.5,
        repeat_penalty: 1.3,
        ..plain()
    });
    check(&Options::default());
}

#[test]
fn greedy_takes_the_lowest_of_the_best() {
    let options = Options {
        temperature: 0.0,
        ..Options::default()
    };
    let draw = Draw { seed: 0, token_idx: 0 };
    assert_eq!(
        Sampler::default().sample(&mut [1.0, 3.0, 3.0, -1.0], &options, &[], draw),
        Ok(1)
    );
    assert_eq!(
        Sampler::default().sample(&mut [-1.0, -0.0, 0.0], &options, &[], draw),
        Ok(1),
        "zeros are equal"
    );
    let penalised = Options {
        repeat_penalty: 2.0,
        ..options
    };
    assert_eq!(
        Sampler::default().sample(&mut [1.0, 3.0, 3.0, 2.0], &penalised, &[1, 2, 1], draw),
        Ok(3)
    );
}

#[test]
fn a_tiny_temperature_is_greedy_and_not_infinite() {
    let options = Options {
        temperature: f32::MIN_POSITIVE,
        ..plain()
    };
    for token_idx in 0..20 {
        let draw = Draw { seed: 9, token_idx };
        assert_eq!(
            Sampler::default().sample(&mut [1.0, 3.0, 2.9999], &options, &[], draw),
            Ok(1)
        );
    }
}

#[test]
fn logits_that_are_not_numbers_are_errors_with_their_id() {
    let mut sampler = Sampler::default();
    let draw = Draw { seed: 0, token_idx: 0 };
    let sample = |sampler: &mut Sampler, logits: &[f32]| sampler.sample(&mut logits.to_vec(), &plain(), &[], draw);
    assert_eq!(
        sample(&mut sampler, &[0.0, f32::NAN]),
        Err(SampleError::NotANumber { id: 1 })
    );
    assert_eq!(
        sample(&mut sampler, &[f32::INFINITY, 0.0]),
        Err(SampleError::NotANumber { id: 0 })
    );
    assert_eq!(
        sample(&mut sampler, &[0.0, 1.0, -f32::NAN, f32::NAN]),
        Err(SampleError::NotANumber { id: 2 })
    );
    assert_eq!(sample(&mut sampler, &[f32::NEG_INFINITY; 3]), Err(SampleError::Empty));
    assert_eq!(sample(&mut sampler, &[]), Err(SampleError::Empty));
    assert_eq!(
        sample(&mut sampler, &[f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY]),
        Ok(1)
    );
}

#[test]
fn draws_are_spread_and_depend_on_seed_and_index_alone() {
    let mean = |seed| (0..1_000).map(|token_idx| Draw { seed, token_idx }.unit()).sum::<f64>() / 1_000.0;
    for seed in [0, 1, 2, u64::MAX] {
        assert!((mean(seed) - 0.5).abs() < 0.05, "seed {seed}: {}", mean(seed));
    }
    // The stored turns of a conversation are replayed with these draws: the hash must never change.
    expect_test::expect![[r#"
        [
            0.5243459416779314,
            0.30213903321684277,
            0.9261505940668677,
        ]
    "#]]
    .assert_debug_eq(&[(7, 0), (7, 1), (8, 0)].map(|(seed, token_idx)| Draw { seed, token_idx }.unit()));
}
