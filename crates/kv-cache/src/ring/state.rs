//! The state of a ring, with which another ring of the same shape can resume the stream.

use super::Ring;

/// The largest position that is accepted; below it no sum of positions and slots overflows.
const MAX_POSITION: u64 = 1 << 62;

/// Where a ring is in its stream; the fields mean what those of [`Ring`] mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RingState {
    pub(crate) position: u64,
    pub(crate) oldest: u64,
    pub(crate) allocated: u64,
}

impl Ring {
    pub(crate) fn state(&self) -> RingState {
        RingState {
            position: self.position,
            oldest: self.oldest,
            allocated: self.allocated as u64,
        }
    }

    /// Returns true if a ring of this shape can be in that state.
    pub(crate) fn accepts(&self, state: RingState) -> bool {
        let RingState {
            position,
            oldest,
            allocated,
        } = state;
        let sinks = self.sink_window().sinks();
        position <= MAX_POSITION
            && oldest >= sinks
            && oldest <= position.max(sinks)
            && position.saturating_sub(oldest) <= self.ring_slots
            && allocated <= self.capacity_slots() as u64
            && self.policy.max_tokens().is_none_or(|max_tokens| position <= max_tokens)
    }

    /// Continues from a state that this ring can be in.
    pub(crate) fn resume_from(&mut self, state: RingState) {
        self.position = state.position;
        self.oldest = state.oldest;
        self.allocated = super::to_slot(state.allocated);
    }

    /// Returns the named sizes by which two shapes can differ.
    pub(crate) fn shape(&self) -> [(&'static str, u64); 5] {
        let sink_window = self.sink_window();
        [
            ("dense", u64::from(self.policy.max_tokens().is_some())),
            ("sinks", sink_window.sinks()),
            ("window", sink_window.window()),
            ("longest chunk", self.max_chunk),
            ("ring slots", self.ring_slots),
        ]
    }
}
