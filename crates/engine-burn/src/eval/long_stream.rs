//! Measures what an endless stream costs: time a token far along it, and memory.

use std::time::Instant;

use kv_cache::{CachePolicy, SinkWindow};

use super::greedy::{self, new_cache};
use crate::cache::SequenceCache;
use crate::{BurnEngineError, LlamaModel, LogitsWanted};

/// How to compare a stream that has just filled its window with one that is far along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlatCostRun {
    /// Sinks and window.
    pub sink_window: SinkWindow,
    /// Where the far stream begins.
    pub far_position: u64,
    /// Tokens that one stream decodes before it is the other's turn.
    pub tokens_per_round: usize,
    /// Rounds, in each of which both streams decode once.
    pub rounds: usize,
}

impl FlatCostRun {
    /// The run that the project's promise is checked with: a million tokens along, 20 rounds of 250 tokens.
    #[must_use]
    pub fn new(sink_window: SinkWindow) -> Self {
        Self {
            sink_window,
            far_position: 1_000_000,
            tokens_per_round: 250,
            rounds: 20,
        }
    }
}

/// Milliseconds a token, one entry a round.
#[derive(Debug, Clone, PartialEq)]
pub struct FlatCost {
    /// Of the stream that began with a window just full.
    pub full_ms: Vec<f64>,
    /// Of the stream that began far along.
    pub far_ms: Vec<f64>,
}

impl FlatCost {
    /// The median of the far stream over the median of the other.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        median(&self.far_ms) / median(&self.full_ms)
    }
}

/// Decodes with two caches in alternation and compares what a token costs. The caches hold made-up numbers: keys of a
/// plausible size take the same time.
///
/// # Errors
/// Those of [`LlamaModel::forward`].
pub fn flat_cost(
    model: &LlamaModel,
    run: FlatCostRun,
    progress: &mut dyn FnMut(usize),
) -> Result<FlatCost, BurnEngineError> {
    let full_position = run.sink_window.sinks() + run.sink_window.window();
    let mut full = cache_at(model, run.sink_window, full_position)?;
    let mut far = cache_at(model, run.sink_window, run.far_position)?;
    let mut result = FlatCost {
        full_ms: Vec::new(),
        far_ms: Vec::new(),
    };
    // The first tokens pay for pages that were never touched.
    decode(model, &mut full, run.tokens_per_round)?;
    decode(model, &mut far, run.tokens_per_round)?;
    for round in 0..run.rounds {
        result.full_ms.push(decode(model, &mut full, run.tokens_per_round)?);
        result.far_ms.push(decode(model, &mut far, run.tokens_per_round)?);
        progress(round + 1);
    }
    Ok(result)
}

/// Resident memory before and after a long stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryGrowth {
    /// Bytes when the ring had been filled once.
    pub before_bytes: u64,
    /// Bytes at the end.
    pub after_bytes: u64,
}

impl MemoryGrowth {
    /// Bytes more at the end than before.
    #[must_use]
    pub fn growth_bytes(&self) -> i64 {
        self.after_bytes.cast_signed() - self.before_bytes.cast_signed()
    }
}

/// Fills a ring once, generates `tokens` more tokens through it, and returns the process's memory before and after
/// these. `None` where the system doesn't report it ([`resident_bytes`]).
///
/// # Errors
/// Those of [`LlamaModel::forward`].
pub fn memory_growth(
    model: &LlamaModel,
    sink_window: SinkWindow,
    tokens: usize,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<MemoryGrowth>, BurnEngineError> {
    /// Tokens between two calls of `progress`.
    const STEP: usize = 100;
    let mut cache = new_cache(model, CachePolicy::Streaming(sink_window))?;
    let ring_tokens = cache.ring().capacity_slots();
    decode(model, &mut cache, ring_tokens)?;
    let before = resident_bytes();
    for done in (0..tokens).step_by(STEP) {
        decode(model, &mut cache, STEP.min(tokens - done))?;
        progress(tokens.min(done + STEP));
    }
    let after = resident_bytes();
    Ok(before.zip(after).map(|(before_bytes, after_bytes)| MemoryGrowth {
        before_bytes,
        after_bytes,
    }))
}

/// Returns the process's resident memory, where the system has it in `/proc`.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1_024)
}

/// Makes a cache as it is at `position` of a stream, with keys and values of some numbers.
fn cache_at(model: &LlamaModel, sink_window: SinkWindow, position: u64) -> Result<SequenceCache, BurnEngineError> {
    let mut cache = new_cache(model, CachePolicy::Streaming(sink_window))?;
    let mut count = 0_u32;
    let mut number = || {
        count = count.wrapping_add(1);
        (count as f32).sin()
    };
    cache.start_at(position, &mut number);
    Ok(cache)
}

/// Decodes greedily, from token 0 on, and returns the milliseconds a token.
fn decode(model: &LlamaModel, cache: &mut SequenceCache, tokens: usize) -> Result<f64, BurnEngineError> {
    let start = Instant::now();
    greedy::decode(model, cache, &mut 0, tokens, LogitsWanted::Last)?;
    Ok(start.elapsed().as_secs_f64() * 1e3 / tokens.max(1) as f64)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}
