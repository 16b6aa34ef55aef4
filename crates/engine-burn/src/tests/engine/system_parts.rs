//! A conversation whose system part is in memory already copies it from there, and gives the same answers.

use engine::{Engine, EngineEvent, Request, TurnTag};

use super::{Answer, ask, request, start, start_tuned, tokens, user};
use crate::engine::Tuning;

/// Makes a request whose system part is longer than a page, with words to which the repeat penalty applies in the
/// answer.
fn with_system_part(conversation: &str, tag: u64) -> Request {
    let mut request = request(conversation, None, vec![user(tag, "Hello there")]);
    request.system = Some("Be a toy, and say what toys say. ".repeat(3));
    request.options.repeat_penalty = 1.8;
    request
}

/// Runs a request in an engine with nothing in memory.
fn alone(request: Request) -> Answer {
    let answer = ask(&start(), request);
    assert_eq!(answer.started.cached_tokens, 0);
    answer
}

#[track_caller]
fn check_copied(answer: &Answer, request: Request) {
    let expected = alone(request);
    assert_eq!((answer.ids(), &answer.text), (expected.ids(), &expected.text));
    // The system part is longer than the sinks of the settings, so it is all that is pinned.
    assert_eq!(answer.started.cached_tokens, answer.started.sink_tokens);
    assert_eq!(tokens(&answer.started), tokens(&expected.started));
}

#[test]
fn is_copied_from_an_idle_conversation() {
    let engine = start();
    ask(&engine, with_system_part("first", 1));
    check_copied(
        &ask(&engine, with_system_part("second", 2)),
        with_system_part("second", 2),
    );
}

#[test]
fn is_copied_from_a_conversation_whose_ring_has_wrapped() {
    let engine = start();
    let long = "and what of the other one? ".repeat(60);
    let mut first = with_system_part("first", 1);
    first.messages = vec![user(1, &long)];
    let answer = ask(&engine, first);
    assert!(answer.finished.usage.evicted_tokens > 0);
    check_copied(
        &ask(&engine, with_system_part("second", 2)),
        with_system_part("second", 2),
    );
}

#[test]
fn is_copied_from_the_previous_epoch_of_the_same_conversation() {
    let engine = start();
    ask(&engine, with_system_part("c", 1));
    check_copied(&ask(&engine, with_system_part("c", 2)), with_system_part("c", 2));
}

#[test]
fn is_copied_from_a_conversation_whose_answer_is_still_growing() {
    let engine = start_tuned(Tuning {
        channel_events: 2,
        ..Tuning::default()
    });
    let mut growing = engine.generate(with_system_part("first", 1)).expect("not busy");
    let started = growing.blocking_next();
    assert!(matches!(started, Some(EngineEvent::Started(_))), "{started:?}");
    // With its first token the prompt has been read; the rest waits for its reader.
    let token = growing.blocking_next();
    assert!(matches!(token, Some(EngineEvent::Token { .. })), "{token:?}");
    check_copied(
        &ask(&engine, with_system_part("second", 2)),
        with_system_part("second", 2),
    );
    assert_eq!(engine.cached_through("first"), None, "it hasn't ended");
    drop(growing);
}

#[test]
fn is_not_copied_from_a_conversation_with_another_system_part() {
    let engine = start();
    let mut other = with_system_part("first", 1);
    other.system = Some("Be a toy, and say what toys say.".to_owned());
    ask(&engine, other);
    let answer = ask(&engine, with_system_part("second", 2));
    assert_eq!(answer.started.cached_tokens, 0);
    assert_eq!(answer.ids(), alone(with_system_part("second", 2)).ids());
}

#[test]
fn a_next_turn_is_the_same_as_if_it_had_been_computed() {
    let next_turn = |engine| {
        let mut next = with_system_part("second", 3);
        next.continues_from = Some(TurnTag(2));
        ask(engine, next)
    };
    let engine = start();
    ask(&engine, with_system_part("first", 1));
    ask(&engine, with_system_part("second", 2));
    let other = start();
    ask(&other, with_system_part("second", 2));
    let (copied, expected) = (next_turn(&engine), next_turn(&other));
    assert_eq!((copied.ids(), &copied.started), (expected.ids(), &expected.started));
}
