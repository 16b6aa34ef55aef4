//! A turn, its states, and the commands that write one.

use std::fmt;

use crate::NewEvent;

/// A turn's number over all conversations. It is never used again, not even after a deletion.
pub type TurnKey = u64;

/// A turn's state: `pending → streaming → done | cancelled | failed | interrupted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TurnState {
    /// The user's message is on disk; nothing is generated yet.
    Pending,
    /// The engine has started to answer.
    Streaming,
    /// The answer is complete.
    Done,
    /// A client cancelled it; what was generated is kept.
    Cancelled,
    /// It ended in an error.
    Failed,
    /// The process ended while it ran.
    Interrupted,
}

impl TurnState {
    /// Every state, in the order in which a turn passes through them.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Streaming,
        Self::Done,
        Self::Cancelled,
        Self::Failed,
        Self::Interrupted,
    ];

    /// Returns the state's name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Streaming => "streaming",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// Returns the state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Returns true if the turn is over.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Streaming => false,
            Self::Done | Self::Cancelled | Self::Failed | Self::Interrupted => true,
        }
    }

    /// Returns true if a turn in this state may enter `next`. A turn that never streamed can't be done.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => !matches!(next, Self::Pending | Self::Done),
            Self::Streaming => next.is_terminal(),
            Self::Done | Self::Cancelled | Self::Failed | Self::Interrupted => false,
        }
    }
}

impl fmt::Display for TurnState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stored turn: the user's message, the answer, and all that is needed to generate it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Its number over all conversations.
    pub key: TurnKey,
    /// Its id, unique in its conversation.
    pub turn_id: String,
    /// The conversation that it belongs to.
    pub conversation: String,
    /// The turn before it on its path; absent for a root.
    pub parent: Option<TurnKey>,
    /// The same turn by the id that clients know.
    pub parent_turn_id: Option<String>,
    /// Its state.
    pub state: TurnState,
    /// The number of its first event, `user`.
    pub first_seq: u64,
    /// The user's message.
    pub user_text: String,
    /// The answer so far; the whole answer once the turn is over.
    pub answer_text: String,
    /// The answer as token ids of the tokenizer of `model`, for engines that have them.
    pub answer_ids: Option<Vec<u32>>,
    /// The fingerprint of the model that answers; absent while pending.
    pub model: Option<String>,
    /// How many tokens its prompt has; absent while pending.
    pub prompt_tokens: Option<u64>,
    /// The engine's value for the cache epoch that it generates in; opaque here.
    pub epoch: Option<u64>,
    /// The rounds of tool calls, as JSON; opaque here. Absent if there were none.
    pub rounds_json: Option<String>,
    /// The agent that answers.
    pub agent_id: String,
    /// The content hash of that agent's snapshot, which [`crate::ConversationStore::agent_snapshot`] reads.
    pub agent_hash: String,
    /// The effective options as JSON.
    pub options_json: String,
    /// The seed of its random numbers.
    pub seed: u64,
    /// The hash of the command that began it, by which its repetition is recognised.
    pub body_hash: String,
    /// When it began, in milliseconds since 1970.
    pub created_at_ms: i64,
    /// When it ended, in milliseconds since 1970.
    pub ended_at_ms: Option<i64>,
}

/// A new turn's parent in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parent {
    /// The conversation's head; the turn is a root if there is none.
    Head,
    /// No parent: the turn is a root.
    Root,
    /// That turn of the same conversation.
    Turn(String),
}

/// Begins a turn, and its conversation when that is new. The new turn becomes the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTurn {
    /// The conversation's id, checked by the caller; opaque here.
    pub conversation: String,
    /// The turn's id, unique in the conversation: the client's key of idempotency.
    pub turn_id: String,
    /// Its parent in the tree.
    pub parent: Parent,
    /// The user's message.
    pub user_text: String,
    /// The agent that is to answer.
    pub agent_id: String,
    /// That agent's content hash.
    pub agent_hash: String,
    /// That agent's current snapshot as JSON; stored once per hash.
    pub agent_json: String,
    /// The effective options as JSON.
    pub options_json: String,
    /// The seed of its random numbers.
    pub seed: u64,
    /// A hash of the command's content, by which its repetition is recognised.
    pub body_hash: String,
    /// Its first event, `user`. Its time is the turn's.
    pub event: NewEvent,
}

/// The result of a [`NewTurn`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunTurn {
    /// The turn's number.
    pub key: TurnKey,
    /// The number of its `user` event.
    pub first_seq: u64,
    /// The turn's parent.
    pub parent: Option<TurnKey>,
    /// True if the turn existed already with the same body: nothing was written.
    pub joined: bool,
}

/// What the engine reports when it starts a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedFacts {
    /// The fingerprint of the model that answers, and that the answer's ids belong to.
    pub model: String,
    /// How many tokens the prompt has.
    pub prompt_tokens: u64,
    /// The engine's value for the cache epoch that it generates in; opaque here.
    pub epoch: Option<u64>,
}

/// A part of an answer, appended to what is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerDelta {
    /// The text; may be empty.
    pub text: String,
    /// The token ids; empty for engines that have none.
    pub ids: Vec<u32>,
}

/// Appends events to a running turn, and what they add to its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendEvents {
    /// The conversation's id.
    pub conversation: String,
    /// The turn, by its number.
    pub turn: TurnKey,
    /// At least one event, in order.
    pub events: Vec<NewEvent>,
    /// What they add to the answer; only for a streaming turn.
    pub answer: Option<AnswerDelta>,
    /// Moves the turn from `pending` to `streaming`.
    pub started: Option<StartedFacts>,
    /// Replaces the turn's rounds of tool calls, as JSON; the append is durable then.
    pub rounds_json: Option<String>,
}

impl AppendEvents {
    /// Appends events alone.
    pub fn new(conversation: impl Into<String>, turn: TurnKey, events: Vec<NewEvent>) -> Self {
        Self {
            conversation: conversation.into(),
            turn,
            events,
            answer: None,
            started: None,
            rounds_json: None,
        }
    }

    /// Adds what the events add to the answer.
    pub fn with_answer(self, answer: AnswerDelta) -> Self {
        Self {
            answer: Some(answer),
            ..self
        }
    }

    /// Moves the turn from `pending` to `streaming` with them.
    pub fn with_start(self, started: StartedFacts) -> Self {
        Self {
            started: Some(started),
            ..self
        }
    }

    /// Returns the size of what the append stores.
    pub(crate) fn bytes(&self) -> usize {
        let events: usize = self.events.iter().map(NewEvent::bytes).sum();
        let answer = self
            .answer
            .as_ref()
            .map_or(0, |answer| answer.text.len() + size_of_val(answer.ids.as_slice()));
        let rounds = self.rounds_json.as_ref().map_or(0, String::len);
        events + answer + rounds + self.started.as_ref().map_or(0, |started| started.model.len())
    }
}

/// Appends events that don't come from a running turn, such as a narrator's or a controller's. Creates the conversation
/// if it is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// The conversation's id, checked by the caller; opaque here.
    pub conversation: String,
    /// The id of the turn that they refer to, which may be over.
    pub turn_id: Option<String>,
    /// At least one event, in order; none of them ends a turn.
    pub events: Vec<NewEvent>,
}

/// Ends a turn with its one terminal event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndTurn {
    /// The conversation's id.
    pub conversation: String,
    /// The turn, by its number.
    pub turn: TurnKey,
    /// One of the four terminal states.
    pub state: TurnState,
    /// The whole answer's text, if it isn't what was appended.
    pub answer_text: Option<String>,
    /// The whole answer's ids, if they aren't what was appended.
    pub answer_ids: Option<Vec<u32>>,
    /// The terminal event. Its time is the turn's end.
    pub event: NewEvent,
}

impl EndTurn {
    /// Ends a turn with the answer that was appended to it.
    pub fn new(conversation: impl Into<String>, turn: TurnKey, state: TurnState, event: NewEvent) -> Self {
        Self {
            conversation: conversation.into(),
            turn,
            state,
            answer_text: None,
            answer_ids: None,
            event,
        }
    }
}

/// The turn that a path is read from, towards the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathStart {
    /// From the conversation's head.
    Head,
    /// From that turn of the same conversation.
    Turn(TurnKey),
}

/// How far a path is read: the first limit that is reached ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathLimit {
    /// The most turns.
    pub turns: usize,
    /// No more turns are read once their texts and ids reach this many bytes; the first turn is always read.
    pub bytes: usize,
    /// The path ends before this turn.
    pub until: Option<TurnKey>,
}
