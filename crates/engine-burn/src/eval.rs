//! Measures a model: how well it predicts a text, what it generates from ids, what a long stream costs, and how fast it is.
//!
//! Token ids go in, results come out as structs; nothing here prints, tokenises or knows a conversation. Every sequence gets a
//! cache of its own, without the spare slots that only conversations need.

pub mod bench;
mod generate;
mod long_stream;
mod perplexity;

use kv_cache::{CachePolicy, RingRoom};

use crate::cache::{MAX_CHUNK, SequenceCache};
use crate::{BurnEngineError, LlamaModel, Logits, LogitsWanted};

pub use generate::{Choice, GenerateRun, generate_ids, teacher_forced};
pub use long_stream::{FlatCost, FlatCostRun, MemoryGrowth, flat_cost, memory_growth, resident_bytes};
pub use perplexity::{Nlls, PerplexityRun, perplexity};

/// A cache for a stream that never goes back.
pub(crate) fn new_cache(model: &LlamaModel, policy: CachePolicy) -> Result<SequenceCache, BurnEngineError> {
    model.new_cache_with_room(
        policy,
        RingRoom {
            max_chunk: MAX_CHUNK as u64,
            rewind_tokens: 0,
        },
    )
}

/// Reads a prompt of any length; the logits are those of its last token.
fn prefill(model: &LlamaModel, cache: &mut SequenceCache, ids: &[u32]) -> Result<Logits, BurnEngineError> {
    let mut chunks = ids.chunks(MAX_CHUNK).peekable();
    while let Some(chunk) = chunks.next() {
        if chunks.peek().is_none() {
            return model.forward(cache, chunk, LogitsWanted::Last);
        }
        model.forward(cache, chunk, LogitsWanted::None)?;
    }
    Err(BurnEngineError::EmptyChunk)
}

/// The id of the greatest logit; the lowest of equals.
fn argmax(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = id;
        }
    }
    u32::try_from(best).expect("a vocabulary has fewer than 2^32 tokens")
}
