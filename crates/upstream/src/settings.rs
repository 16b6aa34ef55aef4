//! The settings of a server.

use std::time::Duration;

use crate::ApiKey;

/// How to use one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Sent as `Authorization: Bearer …`; `None` sends no such header.
    pub key: Option<ApiKey>,
    /// The context of its models, in tokens, which a prompt and its answer must fit.
    pub context_tokens: u64,
    /// How long to wait.
    pub timeouts: Timeouts,
}

impl Default for Settings {
    /// Returns settings without a key, and with a context that all current models support and Ollama has by default.
    fn default() -> Self {
        Self {
            key: None,
            context_tokens: 4_096,
            timeouts: Timeouts::default(),
        }
    }
}

/// How long to wait for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Limit for connecting.
    pub connect: Duration,
    /// Limit from the request to the first piece of the answer; the server may load a model and prefills the prompt.
    pub first_byte: Duration,
    /// Limit between two pieces of the answer. Comments that only keep the connection open don't count as pieces.
    pub silence: Duration,
    /// Limit for the whole list of models.
    pub list: Duration,
    /// Wait before the first retry with a busy server that names no time itself; doubled for each further one.
    pub back_off: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            // A lost packet is sent again after 1 s and then 2 s; a reachable server has answered by then.
            connect: Duration::from_secs(5),
            // A large model takes a minute to load from a slow disk, and its prefill as long on a CPU.
            first_byte: Duration::from_secs(120),
            // A server under full load still sends a token within a few seconds.
            silence: Duration::from_secs(60),
            // Nothing is computed for it, and a person waits for the page.
            list: Duration::from_secs(5),
            // Short compared with any answer, and long enough for a slot to become free.
            back_off: Duration::from_millis(250),
        }
    }
}
