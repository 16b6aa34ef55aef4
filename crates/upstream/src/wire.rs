//! The format of one kind of server's requests and answers, which each driver crate implements.

use engine::{EngineError, FinishReason, Request, ToolCall};
use serde_json::value::RawValue;

use crate::{Framing, UpstreamError};

/// The format of one kind of server, configured for one of its models.
pub trait Wire: Send + Sync + 'static {
    /// Decodes its answers.
    type Decoder: Decoder;

    /// The path of chat requests, below the server's address.
    const PATH: &'static str;

    /// How its answers are split into pieces.
    const FRAMING: Framing;

    /// Returns the body of a request for a streamed answer, as JSON text.
    ///
    /// # Errors
    /// [`EngineError::InvalidRequest`] for a request that this kind of server can't serve.
    fn body(&self, request: &Request) -> Result<String, EngineError>;

    /// Returns the messages of the request for people, as indented JSON text.
    ///
    /// # Errors
    /// As for [`Wire::body`].
    fn prompt(&self, request: &Request) -> Result<String, EngineError>;

    /// Creates the decoder of one answer.
    fn decoder(&self) -> Self::Decoder;
}

/// Decodes the pieces of one answer, in order.
pub trait Decoder: Send + 'static {
    /// Decodes one piece.
    ///
    /// # Errors
    /// [`UpstreamError::Malformed`] for a piece that the protocol doesn't define, [`UpstreamError::Reported`] for an
    /// error that the server reports.
    fn read(&mut self, piece: &str) -> Result<Vec<Chunk>, UpstreamError>;

    /// Ends the decoding when no more pieces follow. Returns the remaining chunks, ending in [`Chunk::End`], if the
    /// answer is complete although its stream wasn't closed properly, and `None` if it isn't complete.
    ///
    /// # Errors
    /// As for [`Decoder::read`].
    fn finish(&mut self) -> Result<Option<Vec<Chunk>>, UpstreamError>;
}

/// One part of a decoded piece.
#[derive(Debug, Clone, PartialEq)]
pub enum Chunk {
    /// More text of the answer; ignored if empty.
    Text(String),
    /// More of the model's reasoning; ignored if empty.
    Reasoning(String),
    /// The model calls a tool.
    ToolCall(ToolCall),
    /// The answer is complete. Later pieces are not read.
    End(AnswerEnd),
}

/// The end of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerEnd {
    /// Why the answer ended.
    pub reason: FinishReason,
    /// The server's own counts and times.
    pub measurements: Measurements,
}

/// A server's own counts and times; `None` for those that it doesn't report.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measurements {
    /// Prompt tokens that weren't cached.
    pub prompt_tokens: Option<u64>,
    /// Prompt tokens that were cached.
    pub cached_tokens: Option<u64>,
    /// Tokens generated.
    pub completion_tokens: Option<u64>,
    /// Time before the prefill, for example to load the model, in milliseconds.
    pub queue_ms: Option<f64>,
    /// Time of the prefill, in milliseconds.
    pub prefill_ms: Option<f64>,
    /// Time of the generation, in milliseconds.
    pub decode_ms: Option<f64>,
}

/// Folds a seed into one that all servers accept: some use only 31 bits, and some read a seed of all ones as none.
#[must_use]
pub fn server_seed(seed: u64) -> u32 {
    let folded = (seed ^ (seed >> 32)) & 0x7fff_ffff;
    u32::try_from(folded).unwrap_or_default()
}

/// Checks that a JSON text is an object, and keeps it as it was written.
///
/// # Errors
/// [`EngineError::InvalidRequest`], which refers to the text as `what`.
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
