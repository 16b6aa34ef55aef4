//! A conversation that begins with a system part which is in memory already takes it from there, and says the same.

use engine::{Engine, EngineEvent, Request, TurnTag};

use super::{Answer, ask, request, start, start_tuned, tokens, user};
use crate::engine::Tuning;

/// Longer than a page, and with words that a penalty for repeating would meet in the answer.
fn asked(conversation: &str, tag: u64) -> Request {
    let mut request = request(conversation, None, vec![user(tag, "Hello there")]);
    request.system = Some("Be a toy, and say what toys say. ".repeat(3));
    request.options.repeat_penalty = 1.8;
    request
}

/// What there is to be read with nothing in memory.
fn alone(request: Request) -> Answer {
    let answer = ask(&start(), request);
    assert_eq!(answer.started.cached_tokens, 0);
    answer
}

#[track_caller]
fn check_took_over(answer: &Answer, request: Request) {
    let expected = alone(request);
    assert_eq!((answer.ids(), &answer.text), (expected.ids(), &expected.text));
    // The toy's system part is longer than its sinks would be, and so all that is pinned.
    assert_eq!(answer.started.cached_tokens, answer.started.sink_tokens);
    assert_eq!(tokens(&answer.started), tokens(&expected.started));
}

#[test]
fn of_an_idle_conversation() {
    let engine = start();
    ask(&engine, asked("first", 1));
    check_took_over(&ask(&engine, asked("second", 2)), asked("second", 2));
}

#[test]
fn of_one_whose_window_has_gone_round() {
    let engine = start();
    let long = "and what of the other one? ".repeat(60);
    let mut first = asked("first", 1);
    first.messages = vec![user(1, &long)];
    let answer = ask(&engine, first);
    assert!(answer.finished.usage.evicted_tokens > 0);
    check_took_over(&ask(&engine, asked("second", 2)), asked("second", 2));
}

#[test]
fn of_the_same_conversations_epoch_before() {
    let engine = start();
    ask(&engine, asked("c", 1));
    check_took_over(&ask(&engine, asked("c", 2)), asked("c", 2));
}

#[test]
fn of_one_whose_answer_is_still_growing() {
    let engine = start_tuned(Tuning {
        channel_events: 2,
        ..Tuning::default()
    });
    let mut growing = engine.generate(asked("first", 1)).expect("not busy");
    let started = growing.blocking_next();
    assert!(matches!(started, Some(EngineEvent::Started(_))), "{started:?}");
    // With its first token the prompt has been read; the rest waits for its reader.
    let token = growing.blocking_next();
    assert!(matches!(token, Some(EngineEvent::Token { .. })), "{token:?}");
    check_took_over(&ask(&engine, asked("second", 2)), asked("second", 2));
    assert_eq!(engine.cached_through("first"), None, "it hasn't ended");
    drop(growing);
}

#[test]
fn but_not_of_one_with_another_system_part() {
    let engine = start();
    let mut other = asked("first", 1);
    other.system = Some("Be a toy, and say what toys say.".to_owned());
    ask(&engine, other);
    let answer = ask(&engine, asked("second", 2));
    assert_eq!(answer.started.cached_tokens, 0);
    assert_eq!(answer.ids(), alone(asked("second", 2)).ids());
}

#[test]
fn and_it_goes_on_as_if_it_had_read_it() {
    let go_on = |engine| {
        let mut next = asked("second", 3);
        next.continues_from = Some(TurnTag(2));
        ask(engine, next)
    };
    let engine = start();
    ask(&engine, asked("first", 1));
    ask(&engine, asked("second", 2));
    let other = start();
    ask(&other, asked("second", 2));
    let (shared, expected) = (go_on(&engine), go_on(&other));
    assert_eq!((shared.ids(), &shared.started), (expected.ids(), &expected.started));
}
