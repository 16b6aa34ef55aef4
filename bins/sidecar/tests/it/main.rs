//! The whole sidecar from outside: every test starts the real app on a free port.

mod access;
mod client;
mod command_line;
mod controllers;
mod export;
mod http_turns;
mod kills;
mod narrator;
mod real_model;
mod rest;
mod socket;
mod sse;
mod stalls;
mod tree;
mod turns;
mod two_drivers;
