//! Reads one streaming answer from a model server over HTTP.
//!
//! In goes an [`engine::Request`]; out come the answer's [`EngineEvent`](engine::EngineEvent)s. What every such server has
//! in common is here: connecting, time-outs, tries, lines, limits, cancelling. How one kind of server puts a request and an
//! answer is a [`Wire`], of which each driver crate has one. Of anyone's JSON, only `error` is known here, and how tools
//! are offered.

mod answer;
mod body;
mod clock;
mod error;
mod key;
mod lines;
mod remote_engine;
mod server;
mod settings;
mod status;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod wire;

pub use body::{OfferedTool, json_text, offered_tools, readable_json};
pub use error::UpstreamError;
pub use key::ApiKey;
pub use lines::{Framing, LineReader};
pub use remote_engine::RemoteEngine;
pub use server::{Server, ServerModel};
pub use settings::{Settings, Timeouts};
pub use status::{is_error, words_of};
pub use wire::{Chunk, Decoder, End, Report, Wire, json_object, server_seed};
