//! The pure part of a prompt: which turns become which messages.

use conversation_store::{Turn, TurnState};
use engine::{ContextPolicy, EngineError, Message, ModelInfo, Role, Tool, TurnTag};

use crate::prompt::{FittedPrompt, TokenBudget, fit, history_limit, messages};
use crate::tool_rounds::ToolRounds;

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
        rounds_json: None,
        agent_id: "a".to_owned(),
        agent_hash: "h".to_owned(),
        options_json: "{}".to_owned(),
        seed: 0,
        body_hash: String::new(),
        created_at_ms: 0,
        ended_at_ms: None,
    }
}

fn model(tools: bool) -> ModelInfo {
    ModelInfo {
        name: "m".to_owned(),
        fingerprint: "m".to_owned(),
        context_tokens: 100,
        sink_tokens: 0,
        window_tokens: 0,
        context: ContextPolicy::Bounded,
        tools,
    }
}

/// Checks the messages of turns given oldest first, the last of which is to be answered.
#[track_caller]
fn check(turns: Vec<Turn>, expected: &str) {
    let made = messages(turns.into_iter().rev().collect(), &model(true));
    let roles_alternate = made.windows(2).all(|pair| pair[0].role != pair[1].role);
    assert!(roles_alternate && made.last().is_none_or(|last| last.role == Role::User));
    let shown = made
        .iter()
        .map(|message| format!("{}{}", message.text, if message.ids.is_some() { "#" } else { "" }));
    assert_eq!(shown.collect::<Vec<_>>().join(" "), expected);
}

#[test]
fn answered_and_cancelled_turns_are_history() {
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
fn token_ids_are_used_for_the_same_model_only() {
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
    let made = messages(
        vec![turn(2, TurnState::Pending), turn(1, TurnState::Done)],
        &model(true),
    );
    assert_eq!(
        made.iter().map(|message| message.tag).collect::<Vec<_>>(),
        [TurnTag(1), TurnTag(1), TurnTag(2)]
    );
}

#[test]
fn the_window_bounds_the_history() {
    let small = history_limit(1);
    assert_eq!((small.turns, small.bytes), (2, 64 << 10));
    let usual = history_limit(2_048);
    assert_eq!((usual.turns, usual.bytes), (513, 64 << 10));
    assert_eq!(history_limit(u64::MAX).bytes, usize::MAX);
}

/// A turn that answered `look`, called a tool, and then answered `done`.
fn turn_with_a_round(key: u64, answered: bool) -> Turn {
    let mut rounds = ToolRounds::default();
    let call = engine::ToolCall {
        id: "x".to_owned(),
        name: "now".to_owned(),
        arguments: "{}".to_owned(),
    };
    rounds.push("look".to_owned(), vec![call]);
    if answered {
        rounds.set_output("call-1-1", "noon".into());
    }
    Turn {
        answer_text: "lookdone".to_owned(),
        rounds_json: Some(rounds.to_json()),
        ..turn(key, TurnState::Done)
    }
}

#[track_caller]
fn check_rounds(tools: bool, answered: bool, expected: &str) {
    let path = vec![turn(2, TurnState::Pending), turn_with_a_round(1, answered)];
    let made = messages(path, &model(tools));
    let shown = made.iter().map(|message| match &message.role {
        Role::User => format!("user:{}", message.text),
        Role::Assistant { calls } if calls.is_empty() => format!("model:{}", message.text),
        Role::Assistant { .. } => format!("asks:{}", message.text),
        Role::Tool { .. } => format!("tool:{}", message.text),
    });
    assert_eq!(shown.collect::<Vec<_>>().join(" "), expected);
    assert!(
        made.iter().all(|message| message.ids.is_none()),
        "the ids of rounds are not one answer's"
    );
}

#[test]
fn rounds_are_separate_messages_for_models_with_tools() {
    check_rounds(true, true, "user:q1 asks:look tool:noon model:done user:q2");
    check_rounds(false, true, "user:q1 model:lookdone user:q2");
    check_rounds(true, false, "user:q1 model:done user:q2");
}

/// Turns of 33 estimated tokens each (15 and 18 with what is around a message), the last one a lone question.
fn long_history(turns: u64) -> Vec<Message> {
    let turn = |key: u64| {
        let answer = Message::assistant(TurnTag(key), "a".repeat(30));
        [Message::user(TurnTag(key), "q".repeat(21)), answer]
    };
    let mut messages: Vec<Message> = (1..=turns).flat_map(turn).collect();
    messages.pop();
    messages
}

#[track_caller]
fn check_fit(context_tokens: u64, kept: &[u64], truncated: Option<(u64, u64)>) {
    let budget = TokenBudget {
        context_tokens,
        max_new_tokens: 10,
    };
    let FittedPrompt {
        messages,
        truncated: found,
    } = fit(long_history(4), None, &[], budget).expect("the question fits");
    let mut tags: Vec<u64> = messages.iter().map(|message| message.tag.0).collect();
    tags.dedup();
    let found = found.map(|found| (found.through.0, found.tokens_after(None)));
    assert_eq!((tags.as_slice(), found), (kept, truncated));
    assert!(
        messages.first().is_some_and(|first| first.role == Role::User),
        "no turn is cut in two"
    );
}

#[test]
fn a_bounded_model_gets_the_newest_whole_turns() {
    check_fit(3 * 33 + 15 + 10, &[1, 2, 3, 4], None);
    check_fit(3 * 33 + 15 + 9, &[2, 3, 4], Some((1, 33)));
    check_fit(33 + 15 + 10, &[3, 4], Some((2, 66)));
    check_fit(15 + 10, &[4], Some((3, 99)));
}

#[test]
fn a_question_that_never_fits_is_refused() {
    let budget = TokenBudget {
        context_tokens: 100,
        max_new_tokens: 1_000,
    };
    let fitted = |system: Option<&str>, tools: &[Tool]| fit(long_history(1), system, tools, budget);
    assert!(
        fitted(None, &[]).is_ok(),
        "an answer is reserved at most half of the context"
    );
    let tool = Tool {
        name: "t".to_owned(),
        description: "d".repeat(90),
        parameters: "{}".to_owned(),
    };
    for answer in [fitted(Some(&"s".repeat(90)), &[]), fitted(None, &[tool])] {
        assert!(
            matches!(answer, Err(EngineError::ContextTooLarge { limit_tokens: 50, .. })),
            "{answer:?}"
        );
    }
}
