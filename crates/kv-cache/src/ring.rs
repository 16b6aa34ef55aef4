//! Maps positions of a stream to slots of a cache.
//!
//! Slots `0..S` hold the sinks. Behind them is a ring: position `j ≥ S` is stored in slot `S + (j - S) mod R`, so that
//! an insert overwrites the oldest slot and nothing ever moves. `R` is the sum of the window, the longest chunk and
//! some spare slots: a whole chunk can be written before any of its queries reads, and the stream can be rewound by the
//! spare slots.
//!
//! Positions go in, ranges of slots come out. It never touches storage, which belongs to the caller.

mod span;
pub(crate) mod state;

use crate::{KvCacheError, SinkWindow};

pub use span::{Insert, InsertSpan, SlotSpan, Visible};

/// The most slots of a cache; 2²⁴ tokens are far beyond any memory, and keep all arithmetic in range.
const MAX_SLOTS: u64 = 1 << 24;

/// The fewest slots that are allocated: a first question fits, and the full size is a few doublings away.
const MIN_ALLOCATED: usize = 256;

/// Which tokens a cache keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CachePolicy {
    /// Sinks and a rolling window: a stream without end.
    Streaming(SinkWindow),
    /// All tokens, up to a limit.
    Dense {
        /// The most tokens that fit.
        max_tokens: u64,
    },
}

impl CachePolicy {
    /// Returns what queries see under this policy.
    #[must_use]
    pub fn sink_window(self) -> SinkWindow {
        match self {
            Self::Streaming(sink_window) => sink_window,
            Self::Dense { max_tokens } => SinkWindow::new(0, max_tokens),
        }
    }

    /// Returns how many tokens fit; `None` means without limit.
    #[must_use]
    pub fn max_tokens(self) -> Option<u64> {
        match self {
            Self::Streaming(_) => None,
            Self::Dense { max_tokens } => Some(max_tokens),
        }
    }
}

/// Sizes of a ring's slots beyond the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingSizes {
    /// The longest chunk that is inserted at once.
    pub max_chunk: u64,
    /// How many tokens behind its furthest token the stream can always be rewound.
    pub rewind_tokens: u64,
}

/// Tracks the position of a stream and the slot of each of its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    policy: CachePolicy,
    max_chunk: u64,
    ring_slots: u64,
    /// Tokens in the stream; the next one gets this position.
    position: u64,
    /// The oldest position outside the sinks that no later token has overwritten.
    oldest: u64,
    allocated: usize,
}

impl Ring {
    /// Creates the ring of an empty stream.
    ///
    /// # Errors
    /// [`KvCacheError::TooLarge`].
    pub fn new(policy: CachePolicy, sizes: RingSizes) -> Result<Self, KvCacheError> {
        let sink_window = policy.sink_window();
        let (sinks, window) = (sink_window.sinks(), sink_window.window());
        let spare = match policy {
            CachePolicy::Streaming(_) => sizes.max_chunk.saturating_add(sizes.rewind_tokens),
            CachePolicy::Dense { .. } => 0,
        };
        let ring_slots = window.saturating_add(spare);
        if ring_slots.saturating_add(sinks) > MAX_SLOTS {
            return Err(KvCacheError::TooLarge {
                sinks,
                window,
                limit: MAX_SLOTS,
            });
        }
        Ok(Self {
            policy,
            max_chunk: sizes.max_chunk,
            ring_slots,
            position: 0,
            oldest: sinks,
            allocated: 0,
        })
    }

    /// Returns the policy that the cache follows.
    #[must_use]
    pub fn policy(&self) -> CachePolicy {
        self.policy
    }

    /// Returns what queries see.
    #[must_use]
    pub fn sink_window(&self) -> SinkWindow {
        self.policy.sink_window()
    }

    /// Returns the number of tokens in the stream; the next one gets this position.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns the number of slots of a cache that has grown to its full size.
    #[must_use]
    pub fn capacity_slots(&self) -> usize {
        to_slot(self.sink_window().sinks() + self.ring_slots)
    }

    /// Returns the number of slots that the storage has now, as requested by the last [`Insert`].
    #[must_use]
    pub fn allocated_slots(&self) -> usize {
        self.allocated
    }

    /// Returns the number of slots that the storage will have once the stream has `tokens` tokens, or has now if that
    /// is more.
    #[must_use]
    pub fn slots_at(&self, tokens: u64) -> usize {
        self.slots_for(tokens).max(self.allocated)
    }

    /// Appends `tokens` to the stream and returns the slots to write them to.
    ///
    /// # Errors
    /// [`KvCacheError::ChunkTooLong`] or [`KvCacheError::DenseFull`]; the stream stays as it was.
    pub fn insert(&mut self, tokens: u64) -> Result<Insert, KvCacheError> {
        self.check_room(tokens)?;
        let first = self.position;
        let end = first + tokens;
        let spans = self.slot_spans(first, end).into_iter();
        let spans = spans
            .map(|span| InsertSpan {
                first_token: to_slot(span.first_position - first),
                slots: span.slots,
            })
            .collect();
        self.position = end;
        self.oldest = self.oldest.max(end.saturating_sub(self.ring_slots));
        self.allocated = self.allocated.max(self.slots_for(end));
        Ok(Insert {
            allocated_slots: self.allocated,
            spans,
        })
    }

    /// Returns the slots that hold everything the queries at `first..end` see together; a query in the middle sees a
    /// part of it, as [`SinkWindow::sees`] defines.
    ///
    /// # Panics
    /// If the range is empty, if its tokens have not been inserted, or if they are further back than the ring keeps.
    #[must_use]
    pub fn visible(&self, first: u64, end: u64) -> Visible {
        let sink_window = self.sink_window();
        assert!(
            first < end && end <= self.position,
            "queries {first}..{end} of a stream of {} tokens",
            self.position
        );
        if sink_window.sees_everything(end - 1) {
            return Visible {
                sinks: None,
                window: self.slot_spans(0, end),
            };
        }
        let from = sink_window.first_visible(first);
        assert!(
            from >= self.oldest,
            "position {from} is still in the ring, whose oldest is {}",
            self.oldest
        );
        let sinks = sink_window.sinks().min(end);
        let sinks = (sinks > 0).then(|| SlotSpan {
            slots: 0..to_slot(sinks),
            first_position: 0,
        });
        Visible {
            sinks,
            window: self.slot_spans(from, end),
        }
    }

    /// Rewinds the stream to its first `to` tokens.
    ///
    /// # Errors
    /// [`KvCacheError::CannotRewind`] if `to` is ahead of the stream, or if tokens that are visible there have been
    /// overwritten; the stream stays as it was.
    pub fn rewind(&mut self, to: u64) -> Result<(), KvCacheError> {
        let sink_window = self.sink_window();
        let needed = sink_window.first_visible(to);
        // A token that sees nothing outside the sinks needs nothing from the ring.
        let sees_only_sinks = needed >= to;
        if to > self.position || (needed < self.oldest && !sees_only_sinks) {
            return Err(KvCacheError::CannotRewind {
                position: self.position,
                to,
                needed,
                oldest: self.oldest,
            });
        }
        self.position = to;
        if sees_only_sinks {
            self.oldest = needed;
        }
        Ok(())
    }

    /// Starts the stream at `position`, as if all tokens before it had been inserted; returns the number of slots to
    /// allocate.
    ///
    /// # Panics
    /// If the stream isn't empty, or if `position` is beyond the end of a dense cache.
    pub fn start_at(&mut self, position: u64) -> usize {
        assert!(
            self.position == 0 && self.policy.max_tokens().is_none_or(|max_tokens| position <= max_tokens),
            "only an empty stream can start elsewhere, and a dense one within its end"
        );
        self.position = position;
        self.oldest = self.oldest.max(position.saturating_sub(self.ring_slots));
        self.allocated = self.slots_for(position);
        self.allocated
    }

    /// Returns true if the first `tokens` of the stream are still stored where they were written.
    pub(crate) fn holds_first(&self, tokens: u64) -> bool {
        let sinks = self.sink_window().sinks();
        tokens <= self.position && (tokens <= sinks || self.oldest == sinks)
    }

    /// Returns true if `tokens` tokens fit without the ring wrapping.
    pub(crate) fn fits_without_wrapping(&self, tokens: u64) -> bool {
        tokens <= self.capacity_slots() as u64
    }

    /// Checks whether `tokens` can be appended now.
    ///
    /// # Errors
    /// As [`Ring::insert`].
    pub fn check_room(&self, tokens: u64) -> Result<(), KvCacheError> {
        if tokens > self.max_chunk {
            return Err(KvCacheError::ChunkTooLong {
                tokens,
                limit: self.max_chunk,
            });
        }
        match self.policy {
            CachePolicy::Dense { max_tokens } if self.position + tokens > max_tokens => Err(KvCacheError::DenseFull {
                position: self.position,
                tokens,
                limit: max_tokens,
            }),
            CachePolicy::Dense { .. } | CachePolicy::Streaming(_) => Ok(()),
        }
    }

    /// Returns the slots to allocate for a stream of `end` tokens: doubling until the ring is complete.
    fn slots_for(&self, end: u64) -> usize {
        let capacity = self.capacity_slots();
        if end >= capacity as u64 {
            capacity
        } else {
            to_slot(end).next_power_of_two().max(MIN_ALLOCATED).min(capacity)
        }
    }

    fn slot(&self, position: u64) -> u64 {
        let sinks = self.sink_window().sinks();
        if position < sinks {
            position
        } else {
            sinks + (position - sinks) % self.ring_slots
        }
    }

    /// Returns the slots of the positions `from..end`, at most `R` of them outside the sinks, in order. They form at
    /// most two runs, since the sinks lie directly before the ring's first slot and the ring wraps once.
    fn slot_spans(&self, from: u64, end: u64) -> Vec<SlotSpan> {
        let mut spans = Vec::with_capacity(2);
        let mut position = from;
        while position < end {
            let slot = self.slot(position);
            let until_wrap = self.sink_window().sinks() + self.ring_slots - slot;
            let len = until_wrap.min(end - position);
            spans.push(SlotSpan {
                slots: to_slot(slot)..to_slot(slot + len),
                first_position: position,
            });
            position += len;
        }
        spans
    }
}

fn to_slot(n: u64) -> usize {
    usize::try_from(n).expect("slots and chunks are at most 2^24")
}
