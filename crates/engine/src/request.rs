//! A request to an engine: messages, options and the seed, all checked and complete.

/// Identifies a turn to the engine, which only compares tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TurnTag(pub u64);

/// The author of a [`Message`]. The system part is in [`Request::system`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The person or program that talks to the model.
    User,
    /// The model, which may call tools beside its text.
    Assistant {
        /// The calls, in the model's order.
        calls: Vec<ToolCall>,
    },
    /// A tool, whose output is the message's text.
    Tool {
        /// The [`ToolCall::id`] that the output answers.
        call_id: String,
        /// The tool's name.
        name: String,
    },
}

impl Role {
    /// The model, without calls of tools.
    pub const ASSISTANT: Self = Self::Assistant { calls: Vec::new() };
}

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// The name, unique in a request.
    pub name: String,
    /// What the tool does, in words for the model.
    pub description: String,
    /// JSON Schema of the arguments, as JSON text: an object.
    pub parameters: String,
}

/// A call of a tool by the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Identifies the call within its answer.
    pub id: String,
    /// The tool's name, as the model wrote it.
    pub name: String,
    /// The arguments, as JSON text: an object.
    pub arguments: String,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The author.
    pub role: Role,
    /// The text, unchanged.
    pub text: String,
    /// The token ids of an earlier answer, if the same model generated it. They are used in place of encoding `text`,
    /// which could give other tokens than the model saw.
    pub ids: Option<Vec<u32>>,
    /// The turn that the message belongs to; question and answer of one turn share the tag.
    pub tag: TurnTag,
}

impl Message {
    /// Creates a user's message.
    #[must_use]
    pub fn user(tag: TurnTag, text: impl Into<String>) -> Self {
        Self::new(Role::User, tag, text)
    }

    /// Creates an answer without ids and calls.
    #[must_use]
    pub fn assistant(tag: TurnTag, text: impl Into<String>) -> Self {
        Self::new(Role::ASSISTANT, tag, text)
    }

    /// Creates a message without ids.
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

/// A request for one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The conversation, whose cache is kept for its next turn.
    pub conversation: String,
    /// The system part (system prompt and context), which is never evicted. Sent with every request, so that the engine
    /// notices a change.
    pub system: Option<String>,
    /// The turn with which the engine's cache ends (see [`Engine::cached_through`](crate::Engine::cached_through));
    /// `messages` are those after it. If `None`, `messages` are the history, and the engine starts a new epoch with the
    /// newest whole turns that fit.
    pub continues_from: Option<TurnTag>,
    /// The messages, oldest first, of user and assistant alternately. The last one is a user's or the output of a tool,
    /// and its tag becomes the answer's. The outputs of tools follow the answer with their calls, in the order of the
    /// calls.
    pub messages: Vec<Message>,
    /// Tools that the model may call; an engine without support for tools fails a request that has any.
    pub tools: Vec<Tool>,
    /// How to sample and when to stop.
    pub options: Options,
    /// Seed of the turn: together with the index of a token it determines that token's random number.
    pub seed: u64,
}

/// How to sample, when to stop, and how much stays in view. The creator has checked that all values are in range.
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
    /// Divides the logits of recently seen tokens (multiplies negative ones); 1 is off.
    pub repeat_penalty: f32,
    /// Ends the answer after this many tokens, at least 1.
    pub max_new_tokens: u32,
    /// Ends the answer before any of these strings, none of which is empty.
    pub stop: Vec<String>,
    /// The least number of attention sinks; the system part's tokens are always sinks. `None`: the engine's setting.
    pub sink_tokens: Option<u32>,
    /// The rolling window in tokens. `None`: the engine's setting.
    pub window_tokens: Option<u32>,
}

impl Default for Options {
    /// Returns sampling at temperature 0.7 and top-p 0.95, with at most 512 tokens.
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
