//! Which turns a prompt is made of, and as what. Pure: everything comes from the log.

use conversation_store::{PathLimit, Turn, TurnKey, TurnState};
use engine::{EngineError, Message, ModelInfo, Role, Tool, TurnTag};

use crate::rounds::Record;

/// Bytes of text and token ids that are read for one token of the window. Answers cost their text and 4 bytes a token; a token
/// of prose is about 4 bytes of text. The engine keeps the newest whole turns that fit, so more than can fit is only work.
const BYTES_PER_WINDOW_TOKEN: u64 = 24;
/// Fewest bytes that are read, so that a small window still sees whole turns.
const MIN_HISTORY_BYTES: u64 = 64 << 10;
/// Tokens that even the shortest question with its answer needs, with the template's literals around them.
const MIN_TOKENS_PER_TURN: u64 = 4;

/// How far back the history is read for a window of this many tokens.
pub(crate) fn history_limit(window_tokens: u64) -> PathLimit {
    let bytes = window_tokens
        .saturating_mul(BYTES_PER_WINDOW_TOKEN)
        .max(MIN_HISTORY_BYTES);
    let turns = (window_tokens / MIN_TOKENS_PER_TURN).max(1) + 1;
    PathLimit {
        turns: saturated(turns),
        bytes: saturated(bytes),
        until: None,
    }
}

/// Whether a turn is part of later prompts: answered, or stopped after the model had begun to.
///
/// A turn that was stopped while it waited, failed or was cut off stays readable and is left out with its question, so that no two
/// questions ever follow each other.
pub(crate) fn is_part(turn: &Turn) -> bool {
    match turn.state {
        TurnState::Done => true,
        TurnState::Cancelled => turn.model.is_some(),
        TurnState::Pending | TurnState::Streaming | TurnState::Failed | TurnState::Interrupted => false,
    }
}

/// The messages of a path, given newest first, that ends with the turn to be answered.
///
/// Answers are token ids where this model made them, and text otherwise. Rounds with tools are told apart for a model that has
/// tools; for another they are the text that was said.
pub(crate) fn messages(path: Vec<Turn>, model: &ModelInfo) -> Vec<Message> {
    let Some(asked) = path.first().map(|turn| turn.key) else {
        return Vec::new();
    };
    let mut messages = Vec::with_capacity(path.len() * 2);
    for turn in path.into_iter().rev() {
        let tag = TurnTag(turn.key);
        if turn.key == asked {
            messages.push(Message::user(tag, turn.user_text));
        } else if is_part(&turn) {
            let record = Record::of(&turn);
            messages.push(Message::user(tag, turn.user_text));
            match record.filter(|_| model.tools) {
                Some(record) => {
                    let rest = turn.answer_text.get(record.said_bytes()..).unwrap_or_default();
                    messages.extend(record.messages(tag));
                    messages.push(Message::assistant(tag, rest));
                }
                None => {
                    let same_model = turn.model.as_deref() == Some(&model.fingerprint);
                    // The ids of rounds are several answers, which the model saw with other words between them.
                    let ids = turn.answer_ids.filter(|_| same_model && turn.rounds_json.is_none());
                    messages.push(Message {
                        ids,
                        ..Message::assistant(tag, turn.answer_text)
                    });
                }
            }
        }
    }
    messages
}

/// What a bounded model is asked, and what had to be left out for it.
#[derive(Debug, PartialEq)]
pub(crate) struct Fitted {
    pub messages: Vec<Message>,
    pub left_out: Option<LeftOut>,
}

/// The oldest turns, left out whole: those that were read at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// The newest of them.
    pub through: TurnTag,
    /// Each message's turn and tokens, estimated.
    tokens: Vec<(TurnTag, u64)>,
}

impl LeftOut {
    /// How many tokens are in the turns after that one, or in all of them.
    pub(crate) fn tokens_after(&self, turn: Option<TurnKey>) -> u64 {
        let is_new = |(tag, _): &&(TurnTag, u64)| turn.is_none_or(|turn| tag.0 > turn);
        self.tokens.iter().filter(is_new).map(|(_, tokens)| tokens).sum()
    }
}

/// Leaves out the oldest whole turns until the rest, with the system part, the tools and room for the answer, fits the model.
///
/// # Errors
/// [`EngineError::ContextTooLarge`] when the question alone doesn't.
pub(crate) fn fit(
    messages: Vec<Message>,
    system: Option<&str>,
    tools: &[Tool],
    room: Room,
) -> Result<Fitted, EngineError> {
    let pinned = system.map_or(0, estimated_tokens) + tools.iter().map(tool_tokens).sum::<u64>();
    let limit_tokens = room.context_tokens.saturating_sub(room.answer_tokens());
    let asked = messages.last().map(|message| message.tag);
    let mut needed_tokens = pinned;
    let mut kept = messages.len();
    for (index, message) in messages.iter().enumerate().rev() {
        needed_tokens += message_tokens(message);
        if needed_tokens > limit_tokens && Some(message.tag) != asked {
            break;
        }
        // A turn is kept from its question on, or not at all.
        if message.role == Role::User {
            kept = index;
        }
    }
    let asked_tokens: u64 = messages
        .iter()
        .filter(|message| Some(message.tag) == asked)
        .map(message_tokens)
        .sum();
    if pinned + asked_tokens > limit_tokens {
        return Err(EngineError::ContextTooLarge {
            part: "the system part with the question",
            needed_tokens: pinned + asked_tokens,
            limit_tokens,
        });
    }
    let mut left = messages;
    let messages = left.split_off(kept);
    let left_out = left.last().map(|newest| LeftOut {
        through: newest.tag,
        tokens: left
            .iter()
            .map(|message| (message.tag, message_tokens(message)))
            .collect(),
    });
    Ok(Fitted { messages, left_out })
}

/// How much a bounded model takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub context_tokens: u64,
    pub max_new_tokens: u64,
}

impl Room {
    /// What is kept free for the answer: what it may need, but not more than half of everything.
    fn answer_tokens(self) -> u64 {
        self.max_new_tokens.min(self.context_tokens / 2)
    }
}

/// Bytes of text that are counted as one token, for a model whose tokens nobody here knows. Prose has 4 and more, code about 3:
/// an estimate that is too high leaves out a turn too early, and one too low has the server cut off the system part in silence.
const BYTES_PER_TOKEN: usize = 3;
/// What a template puts around a message.
const TOKENS_AROUND: u64 = 8;

fn estimated_tokens(text: &str) -> u64 {
    text.len().div_ceil(BYTES_PER_TOKEN) as u64 + TOKENS_AROUND
}

fn message_tokens(message: &Message) -> u64 {
    let calls = match &message.role {
        Role::Assistant { calls } => calls.iter().map(|call| estimated_tokens(&call.arguments)).sum(),
        Role::User | Role::Tool { .. } => 0,
    };
    estimated_tokens(&message.text) + calls
}

fn tool_tokens(tool: &Tool) -> u64 {
    estimated_tokens(&tool.description) + estimated_tokens(&tool.parameters)
}

/// Whether turns that are part of a prompt fill a limit by themselves.
pub(crate) fn is_enough(path: &[Turn], limit: PathLimit) -> bool {
    let bytes = path.iter().map(|turn| {
        let ids = turn.answer_ids.as_ref().map_or(0, |ids| size_of_val(ids.as_slice()));
        turn.user_text.len() + turn.answer_text.len() + ids
    });
    path.len() >= limit.turns || bytes.sum::<usize>() >= limit.bytes
}

fn saturated(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
