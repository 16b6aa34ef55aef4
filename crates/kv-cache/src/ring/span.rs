//! Runs of slots, as inserts and reads need them.

use std::ops::Range;

/// Consecutive slots that hold consecutive positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotSpan {
    /// The slots.
    pub slots: Range<usize>,
    /// The position stored in the first of them.
    pub first_position: u64,
}

/// Consecutive slots to which a part of a chunk is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsertSpan {
    /// Index of the first token of the chunk that is written there.
    pub first_token: usize,
    /// The slots, one per token.
    pub slots: Range<usize>,
}

/// The slots to which a chunk is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insert {
    /// Slots that the storage must have; existing content keeps its slots.
    pub allocated_slots: usize,
    /// At most two runs of slots, in the order of the chunk.
    pub spans: Vec<InsertSpan>,
}

/// The slots in which a run of queries finds its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visible {
    /// The slots of the sinks, if queries must be rotated by their cache position for them. `None` if every query sees
    /// everything before it (then both positions are equal and the sinks are part of `window`), or if there are no
    /// sinks.
    pub sinks: Option<SlotSpan>,
    /// At most two runs of slots, in the order of positions. If `sinks` is given, they begin behind the sinks.
    pub window: Vec<SlotSpan>,
}
