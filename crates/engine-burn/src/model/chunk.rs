//! The input of a forward pass, a chunk of tokens for each of some sequences, and its checks.

use std::ops::Range;

use kv_cache::KvCacheError;

use super::logits::LogitsWanted;
use crate::BurnEngineError;
use crate::cache::{MAX_CHUNK, SequenceCache};

/// What a sequence reads next.
#[derive(Debug)]
pub struct SequenceChunk<'a> {
    /// Its state; moved on when the chunk was read.
    pub cache: &'a mut SequenceCache,
    /// At least one token.
    pub ids: &'a [u32],
    /// Which of them need logits.
    pub wanted: LogitsWanted,
}

/// Checks that there are tokens, not too many, and that the model knows all of them.
pub(super) fn check(chunks: &[SequenceChunk<'_>], vocab_size: usize) -> Result<(), BurnEngineError> {
    if chunks.is_empty() || chunks.iter().any(|chunk| chunk.ids.is_empty()) {
        return Err(BurnEngineError::EmptyChunk);
    }
    let tokens = chunks.iter().map(|chunk| chunk.ids.len()).sum::<usize>();
    if tokens > MAX_CHUNK {
        return Err(KvCacheError::ChunkTooLong {
            tokens: tokens as u64,
            limit: MAX_CHUNK as u64,
        }
        .into());
    }
    let mut ids = chunks.iter().flat_map(|chunk| chunk.ids);
    match ids.find(|&&id| id as usize >= vocab_size) {
        Some(&id) => Err(BurnEngineError::UnknownToken { id, vocab_size }),
        None => Ok(()),
    }
}

/// The rows of a batch that need logits, of each chunk.
pub(super) fn wanted_rows(chunks: &[SequenceChunk<'_>]) -> Vec<Range<usize>> {
    let mut end = 0;
    let rows = chunks.iter().map(|chunk| {
        let first = end;
        end += chunk.ids.len();
        match chunk.wanted {
            LogitsWanted::None => end..end,
            LogitsWanted::Last => end - 1..end,
            LogitsWanted::All => first..end,
        }
    });
    rows.filter(|rows| !rows.is_empty()).collect()
}
