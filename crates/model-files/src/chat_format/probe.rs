//! Finds a template's literals by rendering conversations of markers.

use super::template::{Message, Template};
use crate::ModelFileError;

/// The literals of a template. Joined with the messages between them they are what it renders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Literals {
    /// What precedes the first user's opening if no system text is given.
    pub(super) without_system: String,
    pub(super) system: SystemStyle,
    pub(super) user_open: String,
    /// What lies between a user's message and the answer.
    pub(super) user_close: String,
    pub(super) answer_end: String,
}

/// How a system text is rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SystemStyle {
    /// The template puts it before the first message's text.
    Own { open: String, close: String },
    /// The template refuses it; it is put in front of the first message's text.
    InFirstMessage,
}

/// Markers that stand for the contents; templates and trimming leave them unchanged.
const SYSTEM: &str = "\u{E000}system\u{E001}";
const USERS: [&str; 3] = [
    "\u{E000}user-1\u{E001}",
    "\u{E000}user-2\u{E001}",
    "\u{E000}user-3\u{E001}",
];
const ANSWERS: [&str; 3] = [
    "\u{E000}answer-1\u{E001}",
    "\u{E000}answer-2\u{E001}",
    "\u{E000}answer-3\u{E001}",
];

/// The literals around the messages of one or more turns, in order.
struct Turns {
    /// What precedes the first user's message.
    before: String,
    /// What lies between a user's message and the answer.
    user_close: String,
    /// What lies between an answer and the next user's message.
    between: String,
}

/// Renders and compares conversations until every literal is known, and known not to change.
pub(super) fn literals(template: &Template) -> Result<Literals, ModelFileError> {
    let turns = turns(template, None)?;
    let with_system = match refuses_system(template) {
        true => None,
        false => Some(turns_after_system(template, &turns)?),
    };
    let system_close = with_system.as_ref().map_or(turns.before.as_str(), |(_, close)| close);
    let answer_end = match answer_end(template, &turns)? {
        Some(answer_end) => answer_end,
        None => without_common_end(&turns.between, &turns.before, system_close).to_owned(),
    };
    let user_open = &turns.between[answer_end.len()..];
    let same_opening = turns.before.ends_with(user_open) && system_close.ends_with(user_open);
    // If the template has no opening before the system text, that text has to come after the first message's opening.
    if !same_opening || with_system.is_none() {
        return Ok(Literals {
            system: system_style(with_system, 0),
            without_system: turns.before,
            user_open: String::new(),
            user_close: turns.user_close,
            answer_end: turns.between,
        });
    }
    let without_system = &turns.before[..turns.before.len() - user_open.len()];
    Ok(Literals {
        system: system_style(with_system, user_open.len()),
        without_system: without_system.to_owned(),
        user_open: user_open.to_owned(),
        user_close: turns.user_close,
        answer_end,
    })
}

fn system_style(with_system: Option<(String, String)>, opening_bytes: usize) -> SystemStyle {
    match with_system {
        None => SystemStyle::InFirstMessage,
        Some((open, mut close)) => {
            close.truncate(close.len() - opening_bytes);
            SystemStyle::Own { open, close }
        }
    }
}

/// Returns true if rendering a system message fails or drops it, though the same without it works.
fn refuses_system(template: &Template) -> bool {
    let messages = [message("system", SYSTEM), message("user", USERS[0])];
    match template.render(&messages, true) {
        Ok(text) => !text.contains(SYSTEM),
        Err(_) => true,
    }
}

/// Returns the literals before and after a system text; all others must be as without it.
fn turns_after_system(template: &Template, plain: &Turns) -> Result<(String, String), ModelFileError> {
    let with = turns(template, Some(SYSTEM))?;
    if with.user_close != plain.user_close || with.between != plain.between {
        return not_by_turns("the literals of a turn depend on whether there is a system text");
    }
    let Some((open, close)) = with.before.split_once(SYSTEM) else {
        return not_by_turns("the system text doesn't come before the first message");
    };
    Ok((open.to_owned(), close.to_owned()))
}

/// Returns the literals of a turn, which must be the same in conversations of one, two and three turns.
fn turns(template: &Template, system: Option<&'static str>) -> Result<Turns, ModelFileError> {
    let one = split_at_markers(&render(template, system, 1)?, 1)?;
    let two = split_at_markers(&render(template, system, 2)?, 2)?;
    let three = split_at_markers(&render(template, system, 3)?, 3)?;
    let [before, user_close] = &one[..] else {
        return not_by_turns("the end of a conversation can't be found");
    };
    // What precedes a finished answer may differ from what precedes a new one by spaces only: the answer's own tokens
    // contain theirs.
    let same = |literal: &String| literal.trim_end_matches(' ') == user_close.trim_end_matches(' ');
    let closes = [&two[1], &two[3], &three[1], &three[3], &three[5]];
    if !closes.into_iter().all(same) {
        return not_by_turns("what precedes an answer changes once it is finished");
    }
    if two[0] != *before || three[0] != *before {
        return not_by_turns("what precedes the first message changes as the conversation grows");
    }
    if three[2] != two[2] || three[4] != two[2] {
        return not_by_turns("what separates two turns changes as the conversation grows");
    }
    Ok(Turns {
        before: before.clone(),
        user_close: user_close.clone(),
        between: two[2].clone(),
    })
}

fn render(template: &Template, system: Option<&'static str>, n_turns: usize) -> Result<String, ModelFileError> {
    template.render(&conversation(system, n_turns, false), true)
}

/// Returns `n_turns` users' messages with answers between them, and after the last one too if `answered`.
fn conversation(system: Option<&'static str>, n_turns: usize, answered: bool) -> Vec<Message<'static>> {
    let turns = (0..n_turns).flat_map(|turn| [message("user", USERS[turn]), message("assistant", ANSWERS[turn])]);
    let mut messages: Vec<_> = system
        .map(|text| message("system", text))
        .into_iter()
        .chain(turns)
        .collect();
    messages.truncate(messages.len() - usize::from(!answered));
    messages
}

/// Splits a rendered conversation at every user's and every answer's marker, which must each occur once and in order,
/// into `n_turns * 2` literals.
fn split_at_markers(rendered: &str, n_turns: usize) -> Result<Vec<String>, ModelFileError> {
    let markers = (0..n_turns)
        .flat_map(|turn| [USERS[turn], ANSWERS[turn]])
        .take(n_turns * 2 - 1);
    let mut literals = Vec::with_capacity(n_turns * 2);
    let mut rest = rendered;
    for marker in markers {
        let Some((literal, after)) = rest.split_once(marker) else {
            return not_by_turns("a message is missing, changed or out of order");
        };
        literals.push(literal.to_owned());
        rest = after;
    }
    literals.push(rest.to_owned());
    let repeated = |literal: &String| USERS.iter().chain(&ANSWERS).any(|marker| literal.contains(marker));
    let system_inside = |literal: &String| literal.contains(SYSTEM);
    if literals.iter().any(repeated) || literals[1..].iter().any(system_inside) {
        return not_by_turns("a message occurs twice or out of order");
    }
    Ok(literals)
}

/// Returns what the template writes after an answer that is the last message: the answer's own end, without the opening
/// of a next message. Returns `None` if it writes more than that, as templates do that always ask for an answer.
fn answer_end(template: &Template, turns: &Turns) -> Result<Option<String>, ModelFileError> {
    let rendered = template.render(&conversation(None, 1, true), false)?;
    let Some((_, end)) = rendered.split_once(ANSWERS[0]) else {
        return not_by_turns("the end of an answer can't be found");
    };
    Ok(turns.between.starts_with(end).then(|| end.to_owned()))
}

/// Removes from `text` the longest end that it has in common with both others.
fn without_common_end<'a>(text: &'a str, first: &str, second: &str) -> &'a str {
    let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let common = |at: &usize| first.ends_with(&text[*at..]) && second.ends_with(&text[*at..]);
    &text[..starts.into_iter().find(common).unwrap_or(text.len())]
}

fn message(role: &'static str, content: &'static str) -> Message<'static> {
    Message { role, content }
}

fn not_by_turns<T>(problem: &'static str) -> Result<T, ModelFileError> {
    Err(ModelFileError::TemplateNotByTurns { problem })
}
