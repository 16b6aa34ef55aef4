//! What whoever starts the process decides about a server.

use std::time::Duration;

use crate::ApiKey;

/// How to talk with one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Sent as `Authorization: Bearer …`; `None` sends no such header.
    pub key: Option<ApiKey>,
    /// The context of its models, in tokens: a prompt and its answer fit in it.
    pub context_tokens: u64,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

impl Default for Settings {
    /// No key, and a context that every model of today has and that Ollama, too, starts with.
    fn default() -> Self {
        Self {
            key: None,
            context_tokens: 4_096,
            timeouts: Timeouts::default(),
        }
    }
}

/// How long to wait for a server, each for one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection.
    pub connect: Duration,
    /// From the request to the first piece of the answer: the server may load a model and reads the prompt meanwhile.
    pub first_byte: Duration,
    /// Between two pieces of the answer. A server's comments that only keep the connection open don't count.
    pub silence: Duration,
    /// For a list of models, altogether.
    pub list: Duration,
    /// Before a busy server is asked again, unless it names a time itself; doubled each time.
    pub back_off: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            // One lost packet is sent again after 1 s and then 2 s; a server that is there has answered by then.
            connect: Duration::from_secs(5),
            // A large model comes from a slow disk in a minute, and its prompt takes as long on a CPU.
            first_byte: Duration::from_secs(120),
            // A server under full load still gives a token in a few seconds.
            silence: Duration::from_secs(60),
            // Nothing is computed for it, and a person looks at the page that waits.
            list: Duration::from_secs(5),
            // Short against any answer, long enough for a slot to become free.
            back_off: Duration::from_millis(250),
        }
    }
}
