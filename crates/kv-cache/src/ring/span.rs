//! Runs of slots, as inserts and reads need them.

use std::ops::Range;

/// Consecutive slots that hold consecutive positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotSpan {
    /// The slots.
    pub slots: Range<usize>,
    /// The position that the first of them holds.
    pub first_position: u64,
}

/// Consecutive slots that a part of a chunk goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsertSpan {
    /// The first token of the chunk that goes there.
    pub first_token: usize,
    /// The slots, one a token.
    pub slots: Range<usize>,
}

/// Where a chunk is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insert {
    /// Slots that the storage must have; what it holds already stays in its slots.
    pub allocated_slots: usize,
    /// At most two runs of slots, in the order of the chunk.
    pub spans: Vec<InsertSpan>,
}

/// Where a run of queries finds its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visible {
    /// The sinks' slots, when queries meet them at their position in the cache; `None` when every query sees everything before
    /// it, where the two positions are one and the sinks are part of `window`, or when there are no sinks.
    pub sinks: Option<SlotSpan>,
    /// At most two runs of slots, in the order of positions. When `sinks` is given, a first run that starts before the ring is
    /// impossible: it starts behind the sinks.
    pub window: Vec<SlotSpan>,
}
