//! Chooses the next token from the logits.
//!
//! The order is: repeat penalty, temperature, top-k, top-p (of what top-k left), min-p, and one draw. The random number
//! is a hash of the turn's seed and the token's index in its answer, so that there is no state to keep or to restore:
//! the same logits, options, seed and index always give the same token. Ties go to the lower id.

mod candidates;

use engine::Options;
use thiserror::Error;

use candidates::Candidates;

/// Tokens at the end of the stream, prompt included, to which the repeat penalty applies; llama.cpp's default too.
pub(crate) const PENALTY_TOKENS: usize = 64;

/// Why logits can't be sampled from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SampleError {
    /// A logit is NaN or infinity.
    #[error("the logit of token {id} is not a number")]
    NotANumber {
        /// The first such token.
        id: usize,
    },
    /// No token can be chosen.
    #[error("no token has a finite logit")]
    Empty,
}

/// Samples tokens. Keeps only buffers between calls.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    candidates: Candidates,
}

impl Sampler {
    /// Chooses the token with index `token_idx` of an answer.
    ///
    /// `logits` has one value for each id, and is scaled in place. `recent` holds the last [`PENALTY_TOKENS`] ids of
    /// the stream.
    pub(crate) fn sample(
        &mut self,
        logits: &mut [f32],
        options: &Options,
        recent: &[u32],
        draw: Draw,
    ) -> Result<u32, SampleError> {
        if options.repeat_penalty != 1.0 {
            penalize(logits, recent, options.repeat_penalty);
        }
        let best = best_token(logits)?;
        if options.temperature == 0.0 {
            return Ok(best);
        }
        let best_logit = logits[best as usize];
        // The best logit becomes 0, so that neither the division nor `exp` can overflow, however small the temperature.
        for logit in logits.iter_mut() {
            *logit = (*logit - best_logit) / options.temperature;
        }
        Ok(self.candidates.fill(logits, options).draw(draw.unit()))
    }
}

/// Identifies one draw: the turn's seed and the index of the token in its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Draw {
    /// The turn's seed.
    pub(crate) seed: u64,
    /// Tokens of the answer before this one.
    pub(crate) token_idx: u64,
}

impl Draw {
    /// Returns a number in [0, 1): the `token_idx`-th output of a SplitMix64 whose initial state is the mixed seed.
    pub(crate) fn unit(self) -> f64 {
        /// The odd integer closest to 2^64 divided by the golden ratio, SplitMix64's step.
        const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
        /// 2^-53: the mantissa of an f64 has 53 bits.
        const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
        // Without the first mix, the streams of two seeds one step apart would be the same, shifted by one.
        let step = GOLDEN_GAMMA.wrapping_mul(self.token_idx.wrapping_add(1));
        let random = mix64(mix64(self.seed).wrapping_add(step));
        (random >> 11) as f64 * UNIT
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014, figure
/// 16).
fn mix64(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Makes recent tokens less likely, each once (Keskar et al., CTRL, arXiv:1909.05858, section 4.1).
fn penalize(logits: &mut [f32], recent: &[u32], penalty: f32) {
    for (idx, &id) in recent.iter().enumerate() {
        let is_repeated = recent[..idx].contains(&id);
        if let Some(logit) = logits.get_mut(id as usize).filter(|_| !is_repeated) {
            *logit = if *logit > 0.0 {
                *logit / penalty
            } else {
                *logit * penalty
            };
        }
    }
}

/// Returns the id of the highest logit, the lowest one of several.
fn best_token(logits: &[f32]) -> Result<u32, SampleError> {
    // As integers, of which the compiler compares many at once: a vocabulary is long, and all sequences wait.
    let (mut lowest, mut highest) = (i32::MAX, i32::MIN);
    for logit in logits {
        let order = order(logit.to_bits());
        lowest = lowest.min(order);
        highest = highest.max(order);
    }
    let (least, greatest) = (order(f32::NEG_INFINITY.to_bits()), order(f32::INFINITY.to_bits()));
    if lowest < least || highest >= greatest {
        let is_invalid = |logit: &f32| logit.is_nan() || *logit == f32::INFINITY;
        let id = logits
            .iter()
            .position(is_invalid)
            .expect("nothing else is beyond infinity");
        return Err(SampleError::NotANumber { id });
    }
    if highest <= least {
        return Err(SampleError::Empty);
    }
    let best = f32::from_bits(order(highest as u32) as u32);
    let id = logits.iter().position(|logit| *logit == best);
    Ok(u32::try_from(id.expect("it is one of them")).expect("a vocabulary has fewer than 2^32 tokens"))
}

/// Maps the bits of a float to an integer, ordered as [`f32::total_cmp`] orders floats. It is its own inverse.
#[inline(always)]
fn order(bits: u32) -> i32 {
    let bits = bits as i32;
    bits ^ (bits >> 31 & i32::MAX)
}
