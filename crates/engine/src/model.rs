//! What an engine says of its model, and of a prompt without generating.

use std::ops::Range;

use crate::TurnTag;

/// The model behind an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// The name that users know it by.
    pub name: String,
    /// Identifies the exact weights and vocabulary: token ids may be used again only under the same one.
    pub fingerprint: String,
    /// The context that the model was trained for, in tokens; 0 while unknown.
    pub context_tokens: u64,
    /// Attention sinks by setting.
    pub sink_tokens: u64,
    /// Rolling window by setting.
    pub window_tokens: u64,
    /// Who sees to it that the prompt fits.
    pub context: ContextPolicy,
    /// Whether it can be offered tools, and reads their outputs.
    pub tools: bool,
}

/// Who sees to it that a conversation of any length fits the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContextPolicy {
    /// The engine: what is too old rolls out of its window.
    Rolling,
    /// Whoever asks: a prompt and its answer must fit `context_tokens`.
    Bounded,
}

/// Whether an engine can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// Not yet.
    Loading,
    /// It never will, for the reason given.
    Failed(String),
}

/// A prompt as the model would see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// All of its text, special tokens spelled out.
    pub text: String,
    /// Its token ids; empty for engines that have none.
    pub ids: Vec<u32>,
    /// Its parts, in order, covering `ids` without a gap; none for engines that have no ids.
    pub spans: Vec<Span>,
}

/// One part of a [`Rendered`] prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The range of token indices.
    pub tokens: Range<usize>,
    /// What it is.
    pub kind: SpanKind,
    /// The turn that it belongs to; `None` for the system part.
    pub tag: Option<TurnTag>,
}

/// What a [`Span`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpanKind {
    /// The pinned system part.
    System,
    /// A user's message, the template's literals around it included.
    User,
    /// An answer, the literal that closes it included.
    Assistant,
    /// The output of a tool, the template's literals around it included.
    Tool,
}
