//! What an engine is asked: messages, options and the seed, all checked and complete.

/// Names a turn to the engine, which only ever compares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TurnTag(pub u64);

/// Who speaks in a [`Message`]. The system's words are [`Request::system`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The person or program that asks.
    User,
    /// The model, which may ask for tools beside what it says.
    Assistant {
        /// In the order in which it asked.
        calls: Vec<ToolCall>,
    },
    /// A tool, whose output is the message's text.
    Tool {
        /// The [`ToolCall::id`] that it answers.
        call_id: String,
        /// The tool's name.
        name: String,
    },
}

impl Role {
    /// The model, saying something without asking for a tool.
    pub const ASSISTANT: Self = Self::Assistant { calls: Vec::new() };
}

/// A tool that the model may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name, unique in a request.
    pub name: String,
    /// What it does, in words for the model.
    pub description: String,
    /// JSON Schema of its arguments, as JSON text: an object.
    pub parameters: String,
}

/// The model asks for a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Names the call within its answer.
    pub id: String,
    /// The tool's name, as the model wrote it.
    pub name: String,
    /// Its arguments, as JSON text: an object.
    pub arguments: String,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// The text, exactly as it was said.
    pub text: String,
    /// An earlier answer's token ids, when this same model made it: they are used in place of encoding `text` again, which
    /// could give other tokens than the model saw.
    pub ids: Option<Vec<u32>>,
    /// The turn that the message belongs to; question and answer of one turn share it.
    pub tag: TurnTag,
}

impl Message {
    /// A user's words.
    #[must_use]
    pub fn user(tag: TurnTag, text: impl Into<String>) -> Self {
        Self::new(Role::User, tag, text)
    }

    /// An answer, without its ids.
    #[must_use]
    pub fn assistant(tag: TurnTag, text: impl Into<String>) -> Self {
        Self::new(Role::ASSISTANT, tag, text)
    }

    /// Anyone's words, without ids.
    #[must_use]
    pub fn new(role: Role, tag: TurnTag, text: impl Into<String>) -> Self {
        Self {
            role,
            text: text.into(),
            ids: None,
            tag,
        }
    }
}

/// One answer to be generated.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The conversation, whose cache is kept for its next turn.
    pub conversation: String,
    /// The system part (system prompt and context), which never leaves the model's view. Always sent, so that a change is noticed.
    pub system: Option<String>,
    /// The turn that the engine's cache ends with (see [`Engine::cached_through`](crate::Engine::cached_through)); `messages` are those after it.
    /// `None`: `messages` are the history, and the engine starts a new epoch with the newest whole turns that fit.
    pub continues_from: Option<TurnTag>,
    /// Oldest first, users' and assistants' in turn; the last one is a user's or the output of a tool, and its tag becomes the
    /// answer's. The outputs of tools follow the answer that asked for them, in the order of its calls.
    pub messages: Vec<Message>,
    /// Tools that the model may ask for; an engine that can't offer them fails a request that has any.
    pub tools: Vec<Tool>,
    /// How to sample and when to stop.
    pub options: Options,
    /// Seed of the turn: with the index of a token it determines that token's random number.
    pub seed: u64,
}

/// How to sample, when to stop, and how much stays in view. All values are in range: whoever makes one has checked them.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Softmax temperature, 0 and up; 0 is greedy.
    pub temperature: f32,
    /// Keeps the smallest set of tokens whose probability reaches this, in (0, 1]; 1 is off.
    pub top_p: f32,
    /// Keeps this many most probable tokens; 0 is off.
    pub top_k: u32,
    /// Drops tokens less probable than this share of the most probable one, in [0, 1); 0 is off.
    pub min_p: f32,
    /// Divides the logits of tokens seen lately (multiplies negative ones); 1 is off.
    pub repeat_penalty: f32,
    /// The answer ends after this many tokens, at least 1.
    pub max_new_tokens: u32,
    /// The answer ends before any of these; none is empty.
    pub stop: Vec<String>,
    /// Attention sinks, at the least; the system part is always one. `None`: the engine's setting.
    pub sink_tokens: Option<u32>,
    /// Tokens of the rolling window. `None`: the engine's setting.
    pub window_tokens: Option<u32>,
}

impl Default for Options {
    /// Plain sampling at temperature 0.7 and top-p 0.95, at most 512 tokens.
    fn default() -> Self {
        Self {
            temperature: 0.7,
            top_p: 0.95,
            top_k: 0,
            min_p: 0.0,
            repeat_penalty: 1.0,
            max_new_tokens: 512,
            stop: Vec::new(),
            sink_tokens: None,
            window_tokens: None,
        }
    }
}
