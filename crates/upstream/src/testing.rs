//! Test support for the drivers: a scripted model server, real ones in Python, and a reader of whole answers.
//!
//! It is behind the feature `testing`. It waits for events, never for time, and panics where only a broken test fails.

mod fixtures;
mod official_client;
mod outcome;
mod python;
mod real_model;
mod scripted_server;

pub use fixtures::{Recorded, file_below_root, read_recorded, recorded};
pub use official_client::disagreements;
pub use outcome::{Outcome, full_request, request};
pub use python::PythonServer;
pub use real_model::{check_next_turn, complete_answer, events_without_text, short_request, start_long_answer};
pub use scripted_server::{ReceivedRequest, ScriptedServer, Step};
