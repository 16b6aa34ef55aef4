//! The sidecar: settings, routes, socket and command line.
//!
//! [`Settings`] and an engine go in, [`App::start`] returns a running server. What a turn is, how it is stored and how
//! text is generated is decided in the crates below; this crate only connects them to clients. The binary is
//! [`cli::run`].

mod access;
mod api_error;
mod app;
mod bench;
mod chat_relay;
pub mod cli;
mod codes;
mod connections;
mod error;
mod error_chain;
mod home;
mod http_guard;
mod local_engine;
mod log_frame;
mod logging;
mod models;
mod notify;
mod phase;
mod progress;
mod request_id;
mod rest;
mod server_metrics;
pub mod settings;
mod socket;
mod state;
#[cfg(feature = "test-harness")]
pub mod test_harness;
mod turn_owners;

pub use app::{App, Running};
pub use error::{ModelChoiceError, SettingsError, StartError};
pub use models::Engines;
pub use settings::Settings;
#[cfg(feature = "test-harness")]
pub use socket::echo as ws_echo;
