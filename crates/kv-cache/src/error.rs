//! What a cache refuses.

use thiserror::Error;

/// Why a cache can't be made, filled or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KvCacheError {
    /// A cache of that size can't be addressed.
    #[error("a cache of {sinks} sinks and a window of {window} tokens is larger than {limit} slots")]
    TooLarge {
        /// Sinks asked for.
        sinks: u64,
        /// Window asked for.
        window: u64,
        /// The largest number of slots.
        limit: u64,
    },
    /// A chunk that the ring has no room for.
    #[error("a chunk of {tokens} tokens is longer than {limit}")]
    ChunkTooLong {
        /// Tokens of the chunk.
        tokens: u64,
        /// The longest chunk.
        limit: u64,
    },
    /// A dense cache, which forgets nothing, has no room left.
    #[error("{tokens} more tokens at position {position} don't fit in a dense cache of {limit}")]
    DenseFull {
        /// Tokens in the cache.
        position: u64,
        /// Tokens to add.
        tokens: u64,
        /// Tokens that the cache holds at most.
        limit: u64,
    },
    /// The ring has overwritten what the stream would need there.
    #[error(
        "can't go back from position {position} to {to}: it needs position {needed}, and the oldest one kept is {oldest}"
    )]
    CannotRewind {
        /// Where the stream is.
        position: u64,
        /// Where it should go back to.
        to: u64,
        /// The oldest position outside the sinks that the next token there would see.
        needed: u64,
        /// The oldest position outside the sinks that is kept.
        oldest: u64,
    },
}
