//! A turn, its states, and the commands that write one.

use std::fmt;

use crate::NewEvent;

/// A turn's number over all conversations; never used twice, also not after a deletion.
pub type TurnKey = u64;

/// Where a turn stands: `pending → streaming → done | cancelled | failed | interrupted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TurnState {
    /// The user's words are on disk; nothing is generated yet.
    Pending,
    /// The engine has started to answer.
    Streaming,
    /// The answer is complete.
    Done,
    /// A client stopped it; what was generated is kept.
    Cancelled,
    /// It ended in an error.
    Failed,
    /// The process ended while it ran.
    Interrupted,
}

impl TurnState {
    /// Every state, in the order of a turn's life.
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

    /// Says whether the turn is over.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Streaming => false,
            Self::Done | Self::Cancelled | Self::Failed | Self::Interrupted => true,
        }
    }

    /// Says whether a turn in this state may enter `next`. A turn that never streamed can't be done.
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

/// A stored turn: what the user said, what was answered, and all that is needed to answer it again.
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
    /// Where it stands.
    pub state: TurnState,
    /// The number of its first event, `user`.
    pub first_seq: u64,
    /// What the user said.
    pub user_text: String,
    /// What has been answered so far; the whole answer once the turn is over.
    pub answer_text: String,
    /// The same as token ids, for engines that have them; read with the tokenizer of `model` only.
    pub answer_ids: Option<Vec<u32>>,
    /// The fingerprint of the model that answers; absent while pending.
    pub model: Option<String>,
    /// How many tokens its prompt has; absent while pending.
    pub prompt_tokens: Option<u64>,
    /// What the engine began its present epoch with; opaque here.
    pub epoch: Option<u64>,
    /// The rounds in which the model asked for tools, as JSON; opaque here. Absent where there were none.
    pub rounds_json: Option<String>,
    /// The agent that answers.
    pub agent_id: String,
    /// The content hash of that agent as it was; its snapshot is read by [`crate::ConversationStore::agent_snapshot`].
    pub agent_hash: String,
    /// The effective options as JSON.
    pub options_json: String,
    /// The seed of its random numbers.
    pub seed: u64,
    /// The hash of the command that began it, to recognise a repetition.
    pub body_hash: String,
    /// When it began, in milliseconds since 1970.
    pub created_at_ms: i64,
    /// When it ended, in milliseconds since 1970.
    pub ended_at_ms: Option<i64>,
}

/// Where a new turn hangs in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parent {
    /// Below the conversation's head; a root when there is none.
    Head,
    /// Nowhere: it starts a path of its own.
    Root,
    /// Below that turn of the same conversation.
    Turn(String),
}

/// Begins a turn, and its conversation when that is new. The new turn becomes the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTurn {
    /// The conversation's id, checked by the caller; opaque here.
    pub conversation: String,
    /// The turn's id, unique in the conversation: the client's key of idempotency.
    pub turn_id: String,
    /// Where it hangs in the tree.
    pub parent: Parent,
    /// What the user said.
    pub user_text: String,
    /// The agent that is to answer.
    pub agent_id: String,
    /// That agent's content hash.
    pub agent_hash: String,
    /// That agent as JSON, as it is now; stored once per hash.
    pub agent_json: String,
    /// The effective options as JSON.
    pub options_json: String,
    /// The seed of its random numbers.
    pub seed: u64,
    /// A hash of all that makes this command the same command when it comes again.
    pub body_hash: String,
    /// Its first event, `user`. Its time is the turn's.
    pub event: NewEvent,
}

/// What became of a [`NewTurn`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The turn's number.
    pub key: TurnKey,
    /// The number of its `user` event.
    pub first_seq: u64,
    /// The turn that it hangs below.
    pub parent: Option<TurnKey>,
    /// The turn was there already, with the same body; nothing was written.
    pub joined: bool,
}

/// What the engine said when it took a turn up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedFacts {
    /// The fingerprint of the model that answers, and that the answer's ids belong to.
    pub model: String,
    /// How many tokens the prompt has.
    pub prompt_tokens: u64,
    /// What the engine began its present epoch with; opaque here.
    pub epoch: Option<u64>,
}

/// A piece of an answer, added to what is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerDelta {
    /// The text that was added; may be empty.
    pub text: String,
    /// The token ids that were added; empty for engines that have none.
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
    /// Replaces the turn's rounds, as JSON; durable then.
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
}

/// Appends events that no running turn writes: a narrator's, a controller's. Makes the conversation when it is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// The conversation's id, checked by the caller; opaque here.
    pub conversation: String,
    /// The turn that they are about, by its id, also one that is over.
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
    /// The whole answer's text, if it differs from what was appended.
    pub answer_text: Option<String>,
    /// The whole answer's ids, if they differ from what was appended.
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

/// Where a path is read from, towards the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathStart {
    /// From the conversation's head.
    Head,
    /// From that turn of the same conversation.
    Turn(TurnKey),
}

/// How far a path is read. Whatever comes first ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathLimit {
    /// At most so many turns.
    pub turns: usize,
    /// No further turn once the texts and ids read reach so many bytes; the first turn is always read.
    pub bytes: usize,
    /// Not this turn, nor any before it.
    pub until: Option<TurnKey>,
}
