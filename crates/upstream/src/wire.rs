//! What one kind of server understands and says: the part that each driver crate brings.

use engine::{EngineError, FinishReason, Request, ToolCall};
use serde_json::value::RawValue;

use crate::{Framing, UpstreamError};

/// One kind of server, set for one of its models.
pub trait Wire: Send + Sync + 'static {
    /// What reads its answers.
    type Decoder: Decoder;

    /// Where a chat is asked for, below the server's address.
    const PATH: &'static str;

    /// How its answers are cut into pieces.
    const FRAMING: Framing;

    /// The body of the request, which asks for a stream, as JSON text.
    ///
    /// # Errors
    /// [`EngineError::InvalidRequest`] for what this kind of server can't be asked.
    fn body(&self, request: &Request) -> Result<String, EngineError>;

    /// The messages of the request for people to read, as indented JSON text.
    ///
    /// # Errors
    /// As for [`Wire::body`].
    fn prompt(&self, request: &Request) -> Result<String, EngineError>;

    /// Makes what reads one answer.
    fn decoder(&self) -> Self::Decoder;
}

/// Reads the pieces of one answer, in order.
pub trait Decoder: Send + 'static {
    /// Reads one piece.
    ///
    /// # Errors
    /// [`UpstreamError::NotUnderstood`] for what the protocol doesn't have, [`UpstreamError::Said`] for the server's own
    /// report of a failure.
    fn read(&mut self, piece: &str) -> Result<Vec<Chunk>, UpstreamError>;

    /// Called when nothing more comes: what is left to tell, ending in [`Chunk::End`], if the answer is whole although its
    /// stream wasn't closed as it should be.
    ///
    /// # Errors
    /// As for [`Decoder::read`].
    fn finish(&mut self) -> Result<Option<Vec<Chunk>>, UpstreamError>;
}

/// What a piece of an answer says.
#[derive(Debug, Clone, PartialEq)]
pub enum Chunk {
    /// More of the answer; nothing if empty.
    Text(String),
    /// More of the model's thoughts; nothing if empty.
    Reasoning(String),
    /// The model asks for a tool.
    ToolCall(ToolCall),
    /// The answer is whole. What comes after it isn't read.
    End(End),
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct End {
    /// Why.
    pub reason: FinishReason,
    /// What the server counted and measured.
    pub report: Report,
}

/// What a server counted and measured itself; `None` where it says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Report {
    /// Tokens of the prompt that weren't cached.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the prompt that were.
    pub cached_tokens: Option<u64>,
    /// Tokens generated.
    pub completion_tokens: Option<u64>,
    /// Before the prompt was read, for example to load the model, milliseconds.
    pub queue_ms: Option<f64>,
    /// Reading the prompt, milliseconds.
    pub prefill_ms: Option<f64>,
    /// Generating, milliseconds.
    pub decode_ms: Option<f64>,
}

/// A seed that every server takes: some read 31 bits of it, and some take all bits set for none.
#[must_use]
pub fn server_seed(seed: u64) -> u32 {
    let folded = (seed ^ (seed >> 32)) & 0x7fff_ffff;
    u32::try_from(folded).unwrap_or_default()
}

/// Takes JSON text that has to be an object, kept as it was written.
///
/// # Errors
/// [`EngineError::InvalidRequest`], naming `what` it is.
pub fn json_object(what: &str, text: &str) -> Result<Box<RawValue>, EngineError> {
    let invalid = |reason: String| EngineError::InvalidRequest {
        reason: format!("{what}: {reason}"),
    };
    let object: Box<RawValue> = serde_json::from_str(text.trim()).map_err(|error| invalid(error.to_string()))?;
    if object.get().starts_with('{') {
        Ok(object)
    } else {
        Err(invalid("is no JSON object".to_owned()))
    }
}
