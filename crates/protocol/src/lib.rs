//! The sidecar's wire protocol: WebSocket frames, REST objects, error codes and limits.
//!
//! A client's text frame is parsed into a [`ClientMessage`], or refused with a [`ProtocolError`] that names what is
//! wrong. A [`ServerEvent`] is written as a text frame. Parsed values are in range, and never clamped. This crate knows
//! no sockets, stores or models. `PROTOCOL.md`, beside its manifest, describes the protocol in words.

mod activity;
mod client;
mod controllers;
mod documents;
mod error;
mod error_code;
mod fields;
mod ids;
mod keys;
mod limits;
mod logged;
mod narrator;
mod object;
mod options;
mod rest;
mod routes;
mod schema;
mod server;
#[cfg(test)]
mod tests;
mod texts;
mod tool;
mod turns;
mod whole;

pub use activity::{Narration, NarrationSource, Reasoning, Step, Summary, Tool, ToolOutput};
pub use client::{ApiKey, Cancel, ClientMessage, Hello, Leave, Message, Ping, Regenerate, Resume, ToolAnswer};
pub use controllers::{
    Controller, ControllerEvent, ControllerEvents, ControllerKeptAlive, ControllerLease, ControllerList,
    ControllerPublished, ControllerRegistration,
};
pub use documents::{ASYNCAPI, JSON_SCHEMA, OPENAPI};
pub use error::ProtocolError;
pub use error_code::ErrorCode;
pub use ids::{check_conversation_id, check_turn_id};
pub use limits::Limits;
pub use logged::check_logged;
pub use narrator::{
    FeedEvent, FeedEventType, FeedSeverity, NarratorAccepted, NarratorFeed, NarratorMessage, RelayErrorBody,
};
pub use options::{EffectiveOptions, OptionsPatch, Setting};
pub use rest::{
    Agent, AgentDraft, AgentList, Conversation, ConversationPage, ConversationSummary, ErrorBody, EventPage, Health,
    Model, ModelList, Prompt, PromptPart, PromptPartKind, PromptWindow, Readiness, Turn, TurnState,
};
pub use routes::{Method, OperationId, PATHS, PathItem};
pub use schema::{asyncapi, json_schema, openapi, typescript};
pub use server::{
    Done, Envelope, ErrorEvent, Evicted, FinishReason, Pong, Queued, Ready, Reset, ServerEvent, Started, Timings,
    Token, Usage, User, frame, is_terminal,
};
pub use tool::ToolDefinition;
pub use turns::{CallOutput, ConversationImported, HeadChoice, TurnAccepted};

/// The version of the protocol, which `ready` announces and the subprotocol `sidecar.v1` names.
pub const PROTOCOL_VERSION: u32 = 1;

/// The WebSocket subprotocol, offered by the server and never required.
pub const SUBPROTOCOL: &str = "sidecar.v1";
