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
    /// Bytes that no cache was ever written to.
    #[error("these are not the bytes of a cache")]
    NoSnapshot,
    /// A cache written by another version of this crate.
    #[error("the cache was written in version {found} of its form, and only {expected} can be read")]
    SnapshotVersion {
        /// Its version.
        found: u64,
        /// The version that can be read.
        expected: u64,
    },
    /// A cache of another model, or of another policy.
    #[error("the saved cache has {found} for {what}, and this one {expected}")]
    SnapshotShape {
        /// What is different.
        what: &'static str,
        /// What was saved.
        found: u64,
        /// What is asked for.
        expected: u64,
    },
    /// A stream can't be where the bytes say that it is.
    #[error("the saved cache is at position {position} and keeps tokens from {oldest} on, which can't be")]
    SnapshotPosition {
        /// Where it says it is.
        position: u64,
        /// The oldest position outside the sinks that it says it keeps.
        oldest: u64,
    },
    /// What was saved goes on from tokens that this cache doesn't have.
    #[error("the saved cache goes on from position {from}, and this one ends at {position}")]
    SnapshotGap {
        /// The first position that was saved.
        from: u64,
        /// Tokens that this cache has.
        position: u64,
    },
    /// Bytes are missing, or there are too many.
    #[error("the saved cache has {bytes} bytes in place of {expected}")]
    SnapshotLength {
        /// Bytes that are there.
        bytes: usize,
        /// Bytes that it takes, as far as was read.
        expected: usize,
    },
    /// The bytes are not those that were written.
    #[error("the saved cache is damaged: its checksum is wrong")]
    SnapshotChecksum,
}
