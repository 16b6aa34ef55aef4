//! Which turns a prompt is made of, and as what. Pure: everything comes from the log.

use conversation_store::{PathLimit, Turn, TurnState};
use engine::{Message, Role, Tag};

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
/// Answers are token ids where the model with this fingerprint made them, and text otherwise.
pub(crate) fn messages(path: Vec<Turn>, fingerprint: &str) -> Vec<Message> {
    let Some(asked) = path.first().map(|turn| turn.key) else {
        return Vec::new();
    };
    let mut messages = Vec::with_capacity(path.len() * 2);
    for turn in path.into_iter().rev() {
        let tag = Tag(turn.key);
        if turn.key == asked {
            messages.push(Message {
                role: Role::User,
                text: turn.user_text,
                ids: None,
                tag,
            });
        } else if is_part(&turn) {
            let same_model = turn.model.as_deref() == Some(fingerprint);
            let ids = turn.answer_ids.filter(|_| same_model);
            messages.push(Message {
                role: Role::User,
                text: turn.user_text,
                ids: None,
                tag,
            });
            messages.push(Message {
                role: Role::Assistant,
                text: turn.answer_text,
                ids,
                tag,
            });
        }
    }
    messages
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
