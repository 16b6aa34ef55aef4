//! What the tests of the drivers share: a scripted model server, real ones in Python, and a reader of whole answers.
//!
//! Behind the feature `testing`. It waits for events, never for time, and `expect`s what only a broken test breaks.

mod fixtures;
mod judge;
mod python;
mod reader;
mod scripted_server;

pub use fixtures::{Recorded, file_below_root, recorded, told};
pub use judge::disagreements;
pub use python::PythonServer;
pub use reader::{Outcome, full_request, request};
pub use scripted_server::{Asked, ScriptedServer, Step};
