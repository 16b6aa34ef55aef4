//! The limits of what a client may send or hold, which `ready` announces.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The limits in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Most bytes of one WebSocket message.
    pub frame_bytes: u64,
    /// Most bytes of one user message, as UTF-8.
    pub message_bytes: u64,
    /// Most bytes of one HTTP body.
    pub body_bytes: u64,
    /// Most conversations that one socket may read at a time.
    pub conversations_per_socket: u32,
    /// Most turns of one conversation that may wait behind the running one.
    pub waiting_turns: u32,
    /// Most frames that may wait to be written to one socket.
    pub outbound_frames: u32,
    /// Most bytes that may wait to be written to one socket.
    pub outbound_bytes: u64,
    /// Milliseconds that a socket may stay silent before its first frame.
    pub hello_timeout_ms: u64,
    /// Milliseconds that one write to a socket may take.
    pub write_stall_ms: u64,
    /// Most stop strings of one turn.
    pub stop_strings: u32,
    /// Most bytes of one stop string, as UTF-8.
    pub stop_string_bytes: u32,
    /// Highest value of `maxNewTokens`.
    pub max_new_tokens: u32,
}

impl Default for Limits {
    /// Returns limits that let a message hold a long document and keep ten thousand idle sockets cheap.
    fn default() -> Self {
        Self {
            frame_bytes: 1 << 20,
            message_bytes: 256 << 10,
            body_bytes: 1 << 20,
            conversations_per_socket: 64,
            waiting_turns: 8,
            outbound_frames: 256,
            outbound_bytes: 1 << 20,
            hello_timeout_ms: 10_000,
            write_stall_ms: 30_000,
            stop_strings: crate::options::MAX_STOP_STRINGS,
            stop_string_bytes: crate::options::MAX_STOP_STRING_BYTES,
            max_new_tokens: crate::options::MAX_NEW_TOKENS,
        }
    }
}
