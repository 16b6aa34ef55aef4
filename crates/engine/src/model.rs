//! The description of an engine's model, and of a prompt as the model would see it.

use std::ops::Range;

use crate::TurnTag;

/// The model behind an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// The model's name, as users know it.
    pub name: String,
    /// Identifies the exact weights and vocabulary: token ids are valid only under the same fingerprint.
    pub fingerprint: String,
    /// The context that the model was trained for, in tokens; 0 while unknown.
    pub context_tokens: u64,
    /// The configured number of attention sinks.
    pub sink_tokens: u64,
    /// The configured rolling window, in tokens.
    pub window_tokens: u64,
    /// How long conversations are made to fit.
    pub context: ContextPolicy,
    /// True if the model can be offered tools and reads their outputs.
    pub tools: bool,
}

/// How a conversation of any length is made to fit the model's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContextPolicy {
    /// The engine evicts the oldest tokens from its window.
    Rolling,
    /// The caller sees to it that a prompt and its answer fit `context_tokens`.
    Bounded,
}

/// Whether an engine can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// The engine answers.
    Ready,
    /// The model is still being loaded.
    Loading,
    /// The engine will never answer, for this reason.
    Failed(String),
}

/// A prompt as the model would see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedPrompt {
    /// The whole text, special tokens spelled out.
    pub text: String,
    /// The token ids; empty for engines that have no ids.
    pub ids: Vec<u32>,
    /// The parts, in order, covering `ids` without a gap; empty for engines that have no ids.
    pub spans: Vec<Span>,
}

/// One part of a [`RenderedPrompt`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The range of token indices.
    pub tokens: Range<usize>,
    /// The content of the part.
    pub kind: SpanKind,
    /// The turn that the part belongs to; `None` for the system part.
    pub tag: Option<TurnTag>,
}

/// The content of a [`Span`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpanKind {
    /// The pinned system part.
    System,
    /// A user's message, with the template's literals around it.
    User,
    /// An answer, with the literal that closes it.
    Assistant,
    /// The output of a tool, with the template's literals around it.
    Tool,
}
