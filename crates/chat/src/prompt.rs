//! Builds a prompt's messages from stored turns, and fits them to bounded models.
//!
//! Pure: turns go in, messages and limits of reads come out.

use conversation_store::{PathLimit, Turn, TurnKey, TurnState};
use engine::{EngineError, Message, ModelInfo, Role, Tool, TurnTag};

use crate::tool_rounds::ToolRounds;

/// Bytes of text and token ids that are read for one token of the window. Answers cost their text and 4 bytes a token;
/// a token of prose is about 4 bytes of text. The engine keeps the newest whole turns that fit, so reading more is
/// wasted.
const BYTES_PER_WINDOW_TOKEN: u64 = 24;
/// Fewest bytes that are read, so that a small window still sees whole turns.
const MIN_HISTORY_BYTES: u64 = 64 << 10;
/// Tokens that even the shortest question with its answer needs, with the template's literals around them.
const MIN_TOKENS_PER_TURN: u64 = 4;

/// Returns how far back the history is read for a window of this many tokens.
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

/// Returns true if a turn is part of later prompts: it was answered, or cancelled after the model had begun to answer.
///
/// A turn that was cancelled while it waited, failed or was interrupted stays readable and is left out with its
/// question, so that questions and answers alternate.
pub(crate) fn is_part(turn: &Turn) -> bool {
    match turn.state {
        TurnState::Done => true,
        TurnState::Cancelled => turn.model.is_some(),
        TurnState::Pending | TurnState::Streaming | TurnState::Failed | TurnState::Interrupted => false,
    }
}

/// Returns the messages of a path, given newest first, that ends with the turn to be answered.
///
/// Answers are token ids if this model generated them, and text otherwise. Rounds with tools are separate messages for
/// a model with tools, and plain text of the answer for another.
pub(crate) fn messages(path: Vec<Turn>, model: &ModelInfo) -> Vec<Message> {
    let Some(answered) = path.first().map(|turn| turn.key) else {
        return Vec::new();
    };
    let mut messages = Vec::with_capacity(path.len() * 2);
    for turn in path.into_iter().rev() {
        let tag = TurnTag(turn.key);
        if turn.key == answered {
            messages.push(Message::user(tag, turn.user_text));
        } else if is_part(&turn) {
            let rounds = ToolRounds::stored_in(&turn);
            messages.push(Message::user(tag, turn.user_text));
            match rounds.filter(|_| model.tools) {
                Some(rounds) => {
                    let rest = turn.answer_text.get(rounds.text_bytes()..).unwrap_or_default();
                    messages.extend(rounds.messages(tag));
                    messages.push(Message::assistant(tag, rest));
                }
                None => {
                    let same_model = turn.model.as_deref() == Some(&model.fingerprint);
                    // The ids of a turn with rounds are several answers, between which the model got other text.
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

/// The messages that fit a bounded model, and the turns that were truncated for it.
#[derive(Debug, PartialEq)]
pub(crate) struct FittedPrompt {
    pub messages: Vec<Message>,
    pub truncated: Option<Truncated>,
}

/// The oldest of the turns that were read, left out whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Truncated {
    /// The newest truncated turn.
    pub through: TurnTag,
    /// Each truncated message's turn and estimated tokens.
    tokens: Vec<(TurnTag, u64)>,
}

impl Truncated {
    /// Returns the estimated tokens of the truncated turns after `turn`, or of all of them.
    pub(crate) fn tokens_after(&self, turn: Option<TurnKey>) -> u64 {
        let is_new = |(tag, _): &&(TurnTag, u64)| turn.is_none_or(|turn| tag.0 > turn);
        self.tokens.iter().filter(is_new).map(|(_, tokens)| tokens).sum()
    }
}

/// Leaves out the oldest whole turns until the rest fits the model, with system part, tools and tokens for the answer.
///
/// # Errors
/// [`EngineError::ContextTooLarge`] if the question alone does not fit.
pub(crate) fn fit(
    messages: Vec<Message>,
    system: Option<&str>,
    tools: &[Tool],
    budget: TokenBudget,
) -> Result<FittedPrompt, EngineError> {
    let pinned = system.map_or(0, estimated_tokens) + tools.iter().map(tool_tokens).sum::<u64>();
    let limit_tokens = budget.context_tokens.saturating_sub(budget.answer_tokens());
    let question = messages.last().map(|message| message.tag);
    let mut needed_tokens = pinned;
    let mut kept = messages.len();
    for (index, message) in messages.iter().enumerate().rev() {
        needed_tokens += message_tokens(message);
        if needed_tokens > limit_tokens && Some(message.tag) != question {
            break;
        }
        // A turn is kept whole, from its question on, or not at all.
        if message.role == Role::User {
            kept = index;
        }
    }
    let question_tokens: u64 = messages
        .iter()
        .filter(|message| Some(message.tag) == question)
        .map(message_tokens)
        .sum();
    if pinned + question_tokens > limit_tokens {
        return Err(EngineError::ContextTooLarge {
            part: "the system part with the question",
            needed_tokens: pinned + question_tokens,
            limit_tokens,
        });
    }
    let mut dropped = messages;
    let messages = dropped.split_off(kept);
    let truncated = dropped.last().map(|newest| Truncated {
        through: newest.tag,
        tokens: dropped
            .iter()
            .map(|message| (message.tag, message_tokens(message)))
            .collect(),
    });
    Ok(FittedPrompt { messages, truncated })
}

/// The tokens that a bounded model takes for prompt and answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenBudget {
    pub context_tokens: u64,
    pub max_new_tokens: u64,
}

impl TokenBudget {
    /// Returns the tokens reserved for the answer: the most that it may need, and at most half of the context.
    fn answer_tokens(self) -> u64 {
        self.max_new_tokens.min(self.context_tokens / 2)
    }
}

/// Bytes of text that are estimated as one token, for a model with an unknown tokenizer. Prose has 4 and more, code
/// about 3. Too high an estimate leaves out a turn too early; with too low a one the server silently cuts off the
/// system part.
const BYTES_PER_TOKEN: usize = 3;
/// Tokens that a template adds around a message.
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

/// Returns true if the turns of a path fill a limit.
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
