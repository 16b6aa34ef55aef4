//! Times single pieces of work for a benchmark: a prefill, a decode, a long stream.
//!
//! Token ids go in and durations come out. How often a piece is timed, alternating with what, and how it is reported,
//! is up to the caller; [`flat_cost`](super::flat_cost) is the one comparison that has to be made inside this crate.

use std::time::{Duration, Instant};

use kv_cache::{CachePolicy, SinkWindow};
use model_files::ModelConfig;

use super::greedy::{argmax, decode, new_cache, prefill};
use super::long_stream::{MemoryGrowth, resident_bytes};
use crate::engine::Tuning;
use crate::{BurnEngine, BurnEngineError, BurnEngineSettings, LlamaModel, LogitsWanted};

/// Reads a prompt into a new cache and returns the time to its last token's logits.
///
/// # Errors
/// [`BurnEngineError::EmptyChunk`] for an empty prompt, and those of [`LlamaModel::forward`].
pub fn time_prefill(model: &LlamaModel, policy: CachePolicy, prompt: &[u32]) -> Result<Duration, BurnEngineError> {
    let start = Instant::now();
    let mut cache = new_cache(model, policy)?;
    prefill(model, &mut cache, prompt)?;
    Ok(start.elapsed())
}

/// How to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeRun {
    /// Sinks and window, or dense.
    pub policy: CachePolicy,
    /// Tokens to decode.
    pub tokens: usize,
    /// [`LogitsWanted::None`] leaves the output matrix and the choice of a token out.
    pub wanted: LogitsWanted,
}

/// Reads a prompt, then returns the time of decoding greedily after it, one token at a time.
///
/// # Errors
/// As for [`time_prefill`].
pub fn time_decode(model: &LlamaModel, prompt: &[u32], run: DecodeRun) -> Result<Duration, BurnEngineError> {
    let mut cache = new_cache(model, run.policy)?;
    let logits = prefill(model, &mut cache, prompt)?;
    let mut id = logits.last().map_or(0, argmax);
    let start = Instant::now();
    decode(model, &mut cache, &mut id, run.tokens, run.wanted)?;
    Ok(start.elapsed())
}

/// A long stream to be decoded through a rolling cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamRun {
    /// Sinks and window.
    pub sink_window: SinkWindow,
    /// Tokens to decode, after the ring was filled once.
    pub tokens: usize,
    /// Tokens of a block, at least 1; each is timed on its own.
    pub block_tokens: usize,
}

/// What a long stream cost.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamCost {
    /// Milliseconds a token, an entry for each block; the last block may be shorter.
    pub block_ms: Vec<f64>,
    /// The process's memory before and after; `None` where the system doesn't report it.
    pub growth: Option<MemoryGrowth>,
}

/// Fills a ring by decoding, then decodes `run.tokens` more, and returns the time of every block and how far the
/// process grew.
///
/// `progress` is called with the tokens decoded so far, those that filled the ring excluded.
///
/// # Errors
/// [`BurnEngineError::ZeroSize`] for blocks of 0 tokens, and those of [`LlamaModel::forward`].
pub fn stream_cost(
    model: &LlamaModel,
    run: StreamRun,
    progress: &mut dyn FnMut(usize),
) -> Result<StreamCost, BurnEngineError> {
    if run.block_tokens == 0 {
        return Err(BurnEngineError::ZeroSize { name: "block_tokens" });
    }
    let mut cache = new_cache(model, CachePolicy::Streaming(run.sink_window))?;
    let mut id = 0;
    let ring_tokens = cache.ring().capacity_slots();
    decode(model, &mut cache, &mut id, ring_tokens, LogitsWanted::Last)?;
    let mut block_ms = Vec::with_capacity(run.tokens.div_ceil(run.block_tokens));
    let before = resident_bytes();
    for done in (0..run.tokens).step_by(run.block_tokens) {
        let tokens = run.block_tokens.min(run.tokens - done);
        let start = Instant::now();
        decode(model, &mut cache, &mut id, tokens, LogitsWanted::Last)?;
        block_ms.push(start.elapsed().as_secs_f64() * 1e3 / tokens as f64);
        progress(done + tokens);
    }
    let growth = before
        .zip(resident_bytes())
        .map(|(before_bytes, after_bytes)| MemoryGrowth {
            before_bytes,
            after_bytes,
        });
    Ok(StreamCost { block_ms, growth })
}

/// Returns the bytes of weights that one token has to read at the least: every matrix and norm once, as they are in
/// memory. Of an embedding that isn't the output matrix too, a token reads one row, which isn't counted.
#[must_use]
pub fn weight_bytes(model: &LlamaModel) -> u64 {
    let config = model.config();
    let norms = (2 * config.n_layers + 1) * config.hidden_size * size_of::<f32>();
    model.stored_weights().bytes() + norms as u64
}

/// Returns the bytes of keys and values that one token in view adds to what is read, at the least: in 16 bits each.
#[must_use]
pub fn cache_bytes_a_token(config: &ModelConfig) -> u64 {
    let values = 2 * config.n_layers * config.kv_size();
    (values * size_of::<u16>()) as u64
}

/// Starts an engine whose answers end at their limit alone, whichever tokens the model chooses, so that all of them
/// have the same known length. For measuring; the text after the model would have stopped is nonsense.
///
/// # Errors
/// As for [`BurnEngine::start`].
pub fn start_endless(settings: BurnEngineSettings) -> Result<BurnEngine, BurnEngineError> {
    let tuning = Tuning {
        never_stops: true,
        ..Tuning::default()
    };
    BurnEngine::start_tuned(settings, tuning)
}
