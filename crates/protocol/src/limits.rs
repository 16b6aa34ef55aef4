//! The limits of what a client may send or hold, which `ready` announces.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Most tokens that one answer may ask for: minutes of generation, not hours.
pub(crate) const MAX_NEW_TOKENS: u32 = 8_192;
/// Most stop strings, which are searched after each token; more of them are a mistake.
pub(crate) const MAX_STOP_STRINGS: u32 = 16;
/// Most bytes of a stop string, which holds back this much of the answer while it may still match.
pub(crate) const MAX_STOP_STRING_BYTES: u32 = 256;
/// Longest name of a model: `openai:` and the longest name that a hub allows, with room to spare.
pub(crate) const MAX_MODEL_BYTES: usize = 256;

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
            stop_strings: MAX_STOP_STRINGS,
            stop_string_bytes: MAX_STOP_STRING_BYTES,
            max_new_tokens: MAX_NEW_TOKENS,
        }
    }
}
