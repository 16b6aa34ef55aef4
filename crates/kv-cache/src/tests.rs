//! Tests of the policy, the angles, the ring and attention against naive token-by-token models of the paper's cache.

mod attention;
mod naive;
mod ring;
mod rotary;
mod sink_window;
