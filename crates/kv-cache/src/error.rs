//! The errors of this crate.

use thiserror::Error;

/// Why a cache can't be created, filled, rewound or restored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KvCacheError {
    /// The cache would have more slots than can be addressed.
    #[error("a cache of {sinks} sinks and a window of {window} tokens is larger than {limit} slots")]
    TooLarge {
        /// Requested sinks.
        sinks: u64,
        /// Requested window.
        window: u64,
        /// The largest number of slots.
        limit: u64,
    },
    /// A chunk is longer than the ring has room for.
    #[error("a chunk of {tokens} tokens is longer than {limit}")]
    ChunkTooLong {
        /// Tokens in the chunk.
        tokens: u64,
        /// The longest chunk.
        limit: u64,
    },
    /// A dense cache, which evicts nothing, has no room left.
    #[error("{tokens} more tokens at position {position} don't fit in a dense cache of {limit}")]
    DenseFull {
        /// Tokens in the cache.
        position: u64,
        /// Tokens to add.
        tokens: u64,
        /// The most tokens that the cache holds.
        limit: u64,
    },
    /// The ring has overwritten tokens that the stream would need at that position.
    #[error(
        "can't go back from position {position} to {to}: it needs position {needed}, and the oldest one kept is {oldest}"
    )]
    CannotRewind {
        /// Current position of the stream.
        position: u64,
        /// Position to rewind to.
        to: u64,
        /// The oldest position outside the sinks that the next token would see there.
        needed: u64,
        /// The oldest position outside the sinks that is still stored.
        oldest: u64,
    },
    /// The bytes are not a snapshot of a cache.
    #[error("these are not the bytes of a cache")]
    NoSnapshot,
    /// The snapshot has the format of another version of this crate.
    #[error("the cache was written in version {found} of its form, and only {expected} can be read")]
    SnapshotVersion {
        /// Version of the snapshot.
        found: u64,
        /// The version that can be read.
        expected: u64,
    },
    /// The snapshot belongs to another model or another policy.
    #[error("the saved cache has {found} for {what}, and this one {expected}")]
    SnapshotShape {
        /// The property that differs.
        what: &'static str,
        /// Its value in the snapshot.
        found: u64,
        /// Its value in this cache.
        expected: u64,
    },
    /// The snapshot claims a position that no stream can have.
    #[error("the saved cache is at position {position} and keeps tokens from {oldest} on, which can't be")]
    SnapshotPosition {
        /// The claimed position.
        position: u64,
        /// The claimed oldest position outside the sinks.
        oldest: u64,
    },
    /// The snapshot continues from tokens that this cache doesn't have.
    #[error("the saved cache goes on from position {from}, and this one ends at {position}")]
    SnapshotGap {
        /// The first position in the snapshot.
        from: u64,
        /// Tokens in this cache.
        position: u64,
    },
    /// Bytes are missing, or there are too many.
    #[error("the saved cache has {bytes} bytes in place of {expected}")]
    SnapshotLength {
        /// Actual length.
        bytes: usize,
        /// Expected length, as far as the header was read.
        expected: usize,
    },
    /// The bytes differ from those that were written.
    #[error("the saved cache is damaged: its checksum is wrong")]
    SnapshotChecksum,
}
