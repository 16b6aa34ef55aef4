//! The policy, the angles and the ring against a naive token-by-token model of the paper's cache.

mod naive;
mod ring;
mod rotary;
mod sink_window;
