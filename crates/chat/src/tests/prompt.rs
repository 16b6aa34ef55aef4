//! The pure part: which turns become which messages.

use conversation_store::{Turn, TurnState};
use engine::{Role, Tag};

use crate::prompt::{history_limit, messages};

fn turn(key: u64, state: TurnState) -> Turn {
    Turn {
        key,
        turn_id: format!("t{key}"),
        conversation: "c".to_owned(),
        parent: key.checked_sub(1).filter(|parent| *parent > 0),
        parent_turn_id: None,
        state,
        first_seq: key,
        user_text: format!("q{key}"),
        answer_text: format!("a{key}"),
        answer_ids: Some(vec![9]),
        model: Some("m".to_owned()),
        prompt_tokens: None,
        epoch: None,
        agent_id: "a".to_owned(),
        agent_hash: "h".to_owned(),
        options_json: "{}".to_owned(),
        seed: 0,
        body_hash: String::new(),
        created_at_ms: 0,
        ended_at_ms: None,
    }
}

/// The messages of turns given oldest first, of which the last one is asked.
#[track_caller]
fn check(turns: Vec<Turn>, expected: &str) {
    let made = messages(turns.into_iter().rev().collect(), "m");
    let roles_alternate = made.windows(2).all(|pair| pair[0].role != pair[1].role);
    assert!(roles_alternate && made.last().is_none_or(|last| last.role == Role::User));
    let shown = made
        .iter()
        .map(|message| format!("{}{}", message.text, if message.ids.is_some() { "#" } else { "" }));
    assert_eq!(shown.collect::<Vec<_>>().join(" "), expected);
}

#[test]
fn answered_and_stopped_turns_are_history() {
    use TurnState::{Cancelled, Done, Failed, Interrupted, Pending};
    check(Vec::new(), "");
    check(vec![turn(1, Pending)], "q1");
    check(
        vec![turn(1, Done), turn(2, Cancelled), turn(3, Pending)],
        "q1 a1# q2 a2# q3",
    );
    check(
        vec![turn(1, Failed), turn(2, Done), turn(3, Interrupted), turn(4, Pending)],
        "q2 a2# q4",
    );
    let never_started = Turn {
        model: None,
        ..turn(2, Cancelled)
    };
    check(vec![turn(1, Done), never_started, turn(3, Pending)], "q1 a1# q3");
    check(vec![turn(1, Done), turn(2, Done)], "q1 a1# q2");
}

#[test]
fn ids_are_used_for_the_same_model_only() {
    let other = Turn {
        model: Some("other".to_owned()),
        ..turn(1, TurnState::Done)
    };
    check(
        vec![other, turn(2, TurnState::Done), turn(3, TurnState::Pending)],
        "q1 a1 q2 a2# q3",
    );
    let without = Turn {
        answer_ids: None,
        ..turn(1, TurnState::Done)
    };
    check(vec![without, turn(2, TurnState::Pending)], "q1 a1 q2");
}

#[test]
fn question_and_answer_share_a_tag() {
    let made = messages(vec![turn(2, TurnState::Pending), turn(1, TurnState::Done)], "m");
    assert_eq!(
        made.iter().map(|message| message.tag).collect::<Vec<_>>(),
        [Tag(1), Tag(1), Tag(2)]
    );
}

#[test]
fn the_history_is_bounded_by_the_window() {
    let small = history_limit(1);
    assert_eq!((small.turns, small.bytes), (2, 64 << 10));
    let usual = history_limit(2_048);
    assert_eq!((usual.turns, usual.bytes), (513, 64 << 10));
    assert_eq!(history_limit(u64::MAX).bytes, usize::MAX);
}
