//! Reads one streaming answer from a model server over HTTP.
//!
//! An [`engine::Request`] goes in, the answer's [`EngineEvent`](engine::EngineEvent)s come out. This crate holds what
//! all such servers have in common: connections, time-outs, retries, lines, limits and cancellation. The format of one
//! kind of server's requests and answers is a [`Wire`], which each driver crate implements. Of the servers' JSON, this
//! crate knows errors, the messages of a chat and the definitions of tools.

mod answer;
mod body;
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
mod timer;
mod wire;

pub use body::{AnsweredCall, ChatMessage, OfferedTool, chat_messages, offered_tools, to_json, to_pretty_json};
pub use error::UpstreamError;
pub use key::ApiKey;
pub use lines::{Framing, LineReader};
pub use remote_engine::RemoteEngine;
pub use server::{Server, ServerModel};
pub use settings::{Settings, Timeouts};
pub use status::{error_message, reports_error};
pub use wire::{AnswerEnd, Chunk, Decoder, Measurements, Wire, json_object, server_seed};
