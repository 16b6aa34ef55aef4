//! Prefill and greedy decoding, which all measurements are made of.

use kv_cache::{CachePolicy, RingSizes};

use crate::cache::{MAX_CHUNK, SequenceCache};
use crate::{BurnEngineError, LlamaModel, Logits, LogitsWanted};

/// Makes a cache for a stream that never goes back.
pub(crate) fn new_cache(model: &LlamaModel, policy: CachePolicy) -> Result<SequenceCache, BurnEngineError> {
    model.new_cache_with_sizes(
        policy,
        RingSizes {
            max_chunk: MAX_CHUNK as u64,
            rewind_tokens: 0,
        },
    )
}

/// Reads a prompt of any length and returns the logits of its last token.
pub(super) fn prefill(model: &LlamaModel, cache: &mut SequenceCache, ids: &[u32]) -> Result<Logits, BurnEngineError> {
    let mut chunks = ids.chunks(MAX_CHUNK).peekable();
    while let Some(chunk) = chunks.next() {
        if chunks.peek().is_none() {
            return model.forward(cache, chunk, LogitsWanted::Last);
        }
        model.forward(cache, chunk, LogitsWanted::None)?;
    }
    Err(BurnEngineError::EmptyChunk)
}

/// Returns the id of the greatest logit; the lowest of equals.
pub(super) fn argmax(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = id;
        }
    }
    u32::try_from(best).expect("a vocabulary has fewer than 2^32 tokens")
}

/// Decodes greedily from `id` on, which becomes the last token chosen; without logits it stays.
pub(super) fn decode(
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
