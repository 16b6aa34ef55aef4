//! The pieces that a benchmark times, one go each.
//!
//! Token ids go in and what they took comes out. How often a piece is timed, in turn with what, and what is made of it, is for
//! the caller; [`flat_cost`](super::flat_cost) is the one comparison that has to be made in here.

use std::time::{Duration, Instant};

use kv_cache::{CachePolicy, SinkWindow};
use model_files::ModelConfig;

use super::{MemoryGrowth, argmax, new_cache, prefill, resident_bytes};
use crate::cache::SequenceCache;
use crate::engine::Tuning;
use crate::{BurnEngine, BurnEngineError, BurnEngineSettings, LlamaModel, LogitsWanted};

/// Reads a prompt into a new cache, and gives the time to its last token's logits.
///
/// # Errors
/// [`BurnEngineError::EmptyChunk`] for an empty prompt, and whatever [`LlamaModel::forward`] refuses.
pub fn time_prefill(model: &LlamaModel, policy: CachePolicy, prompt: &[u32]) -> Result<Duration, BurnEngineError> {
    let start = Instant::now();
    let mut cache = new_cache(model, policy)?;
    prefill(model, &mut cache, prompt)?;
    Ok(start.elapsed())
}

/// What to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeRun {
    /// Sinks and window, or dense.
    pub policy: CachePolicy,
    /// Tokens to decode.
    pub tokens: usize,
    /// [`LogitsWanted::None`] leaves the output matrix and the choice of a token out.
    pub wanted: LogitsWanted,
}

/// Reads a prompt, then gives the time of decoding greedily after it, one token at a time.
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
    /// The process's memory before and after; `None` where the system doesn't say.
    pub growth: Option<MemoryGrowth>,
}

/// Fills a ring by decoding, then decodes `run.tokens` more: the time of every block, and what all of it added to the process.
///
/// `progress` gets the tokens decoded so far, those that filled the ring excluded.
///
/// # Errors
/// [`BurnEngineError::ZeroSize`] for blocks of 0 tokens, and whatever [`LlamaModel::forward`] refuses.
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
    let round = cache.ring().capacity_slots();
    decode(model, &mut cache, &mut id, round, LogitsWanted::Last)?;
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

/// Bytes of weights that one token has to read at the least: every matrix and norm once, as they are in memory. Of an embedding that
/// isn't the output matrix too, a token reads one row, which isn't counted.
#[must_use]
pub fn weight_bytes(model: &LlamaModel) -> u64 {
    let config = model.config();
    let norms = (2 * config.n_layers + 1) * config.hidden_size * size_of::<f32>();
    model.stored_weights().bytes() + norms as u64
}

/// Bytes of keys and values that one token in view adds to what is read, at the least: in 16 bits each.
#[must_use]
pub fn cache_bytes_a_token(config: &ModelConfig) -> u64 {
    let values = 2 * config.n_layers * config.kv_size();
    (values * size_of::<u16>()) as u64
}

/// Starts an engine whose answers end by their limit alone, whatever tokens the model chooses, so that all of them have the
/// same known length. For measuring; what it says after the model would have stopped is nonsense.
///
/// # Errors
/// As for [`BurnEngine::start`].
pub fn start_endless(settings: BurnEngineSettings) -> Result<BurnEngine, BurnEngineError> {
    let tuning = Tuning {
        never_stops: true,
        ..Tuning::default()
    };
    BurnEngine::start_worker(settings, tuning)
}

/// Decodes greedily from `id` on, which becomes the last token chosen; without logits it stays.
fn decode(
    model: &LlamaModel,
    cache: &mut SequenceCache,
    id: &mut u32,
    tokens: usize,
    wanted: LogitsWanted,
) -> Result<(), BurnEngineError> {
    for _ in 0..tokens {
        let logits = model.forward(cache, &[*id], wanted)?;
        *id = logits.last().map_or(*id, argmax);
    }
    Ok(())
}
