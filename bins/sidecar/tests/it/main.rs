//! The whole sidecar from outside: every test starts the real app on a free port.

#![expect(
    clippy::panic,
    reason = "clippy exempts test functions, and not what they share in an integration test"
)]

mod access;
mod bench;
mod client;
mod command_line;
mod controllers;
mod data_before;
#[cfg(target_os = "linux")]
mod disk;
mod documents;
mod drain;
mod event_stream;
mod export;
mod fixtures;
mod guard;
mod http_turns;
mod kills;
mod limits;
mod narrator;
mod observe;
mod process;
mod real_model;
mod rest;
mod restarts;
#[cfg(target_os = "linux")]
mod soak;
mod socket;
mod sse;
mod stalls;
mod tree;
mod turns;
mod two_drivers;
mod wait;
