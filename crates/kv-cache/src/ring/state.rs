//! Where a ring is in its stream: what another ring of the same shape has to be told to go on from there.

use super::Ring;

/// Positions beyond this are no stream's; below it no sum of positions and slots overflows.
const MAX_POSITION: u64 = 1 << 62;

/// See the module.
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

    /// Whether a ring of this shape can be there.
    pub(crate) fn can_be_at(&self, state: RingState) -> bool {
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

    /// Goes on from a state that this ring can be in.
    pub(crate) fn go_on_from(&mut self, state: RingState) {
        self.position = state.position;
        self.oldest = state.oldest;
        self.allocated = super::to_slot(state.allocated);
    }

    /// What tells two shapes apart, named.
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
