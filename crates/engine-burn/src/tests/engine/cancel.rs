//! Answers that are cut off: cancelled, or dropped by their reader.

use engine::{Engine, FinishReason, TurnTag};

use super::{Answer, ask, history, read, request, start, start_with_action_at, user};
use crate::{BurnEngine, MAX_CHUNK, REWIND_TOKENS};

/// Makes a message of at least `tokens` tokens; the toy's tokenizer merges none of it.
fn text_of(tokens: usize) -> String {
    "QX".repeat(tokens.div_ceil(2))
}

/// Runs a first turn that is cancelled right before its step `step_idx`.
fn cancelled_at(step_idx: usize, text: &str) -> (BurnEngine, Answer) {
    let (engine, actions) = start_with_action_at(step_idx);
    let generation = engine
        .generate(request("c", None, vec![user(1, text)]))
        .expect("not busy");
    let canceller = generation.canceller();
    actions
        .send(Box::new(move || canceller.cancel()))
        .expect("the scheduler waits for it");
    let answer = read(generation).expect("a cancelled answer ends well");
    assert_eq!(answer.finished.reason, FinishReason::Cancelled);
    assert_eq!(engine.cached_through("c"), Some(TurnTag(1)));
    (engine, answer)
}

#[test]
fn a_cancelled_prompt_is_read_with_the_next_one() {
    let text = text_of(4 * MAX_CHUNK);
    let mut second_answers = Vec::new();
    for steps in 0..4 {
        let (engine, first) = cancelled_at(steps, &text);
        assert_eq!((first.ids(), first.finished.usage.completion_tokens), (&[][..], 0));
        let second = ask(&engine, request("c", Some(1), vec![user(2, "go on")]));
        let read_tokens = (steps * MAX_CHUNK) as u64;
        let left_tokens = first.started.prompt_tokens - read_tokens;
        second_answers.push((second.started.prompt_tokens - left_tokens, second.text));
    }
    // However much of the first prompt was read, the stream is the same.
    assert!(
        second_answers.iter().all(|answer| *answer == second_answers[0]),
        "{second_answers:?}"
    );
}

#[test]
fn a_cancelled_answer_keeps_what_was_generated() {
    for steps in 1..10 {
        let (engine, first) = cancelled_at(steps, "Hello");
        assert_eq!(first.finished.usage.completion_tokens, steps as u64);
        let second = ask(&engine, request("c", Some(1), vec![user(2, "go on")]));
        let mut messages = history(&[("Hello", &first)]);
        messages.push(user(2, "go on"));
        assert_eq!(
            second.ids(),
            ask(&engine, request("fresh", None, messages)).ids(),
            "after {steps} steps"
        );
    }
}

#[test]
fn a_prompt_that_is_read_with_the_next_one_is_penalized_once() {
    for seed in 0..8 {
        let (engine, actions) = start_with_action_at(FIRST_STEPS);
        let first = engine
            .generate(request("c", None, vec![user(1, "Hello")]))
            .expect("not busy");
        let second = engine
            .generate(request("c", Some(1), vec![user(2, "abcdefghijk")]))
            .expect("not busy");
        let canceller = second.canceller();
        actions
            .send(Box::new(move || canceller.cancel()))
            .expect("the scheduler waits for it");
        let first = read(first).expect("it ends well");
        let second = read(second).expect("a cancelled answer ends well");
        assert_eq!(
            (second.finished.reason, second.ids()),
            (FinishReason::Cancelled, &[][..])
        );
        let third = |conversation, continues_from, mut messages: Vec<_>| {
            messages.push(user(3, "on"));
            let mut third = request(conversation, continues_from, messages);
            (third.seed, third.options.repeat_penalty) = (seed, 10.0);
            ask(&engine, third)
        };
        let cached = third("c", Some(2), Vec::new());
        let fresh = third("fresh", None, history(&[("Hello", &first), ("abcdefghijk", &second)]));
        assert_eq!(cached.ids(), fresh.ids(), "seed {seed}");
    }
}

/// Runs a first turn to its end, and drops the second one right before its step `step_idx`.
fn dropped_at(step_idx: usize, text: &str) -> (BurnEngine, Answer) {
    let (engine, actions) = start_with_action_at(FIRST_STEPS + step_idx);
    let first = engine
        .generate(request("c", None, vec![user(1, "Hello")]))
        .expect("not busy");
    let (dropper, dropped) = std::sync::mpsc::sync_channel(1);
    actions
        .send(Box::new(move || drop(dropped.recv())))
        .expect("the scheduler waits for it");
    let first = read(first).expect("the first turn is left alone");
    let second = engine
        .generate(request("c", Some(1), vec![user(2, text)]))
        .expect("not busy");
    dropper.send(second).expect("the action waits for it");
    // Once a later answer is complete, the scheduler has noticed.
    ask(&engine, request("other", None, vec![user(1, "Hello")]));
    (engine, first)
}

/// Steps of a first turn: one for the prompt and the first token, one for each further token.
const FIRST_STEPS: usize = 24;

#[test]
fn a_dropped_turn_is_undone() {
    let undisturbed = start();
    ask(&undisturbed, request("c", None, vec![user(1, "Hello")]));
    let expected = ask(&undisturbed, request("c", Some(1), vec![user(2, "go on")]));
    for steps in [0, 1, 2, 12] {
        let (engine, _) = dropped_at(steps, "something else");
        assert_eq!(engine.cached_through("c"), Some(TurnTag(1)), "after {steps} steps");
        let second = ask(&engine, request("c", Some(1), vec![user(2, "go on")]));
        assert_eq!(
            (second.ids(), &second.started),
            (expected.ids(), &expected.started),
            "after {steps} steps"
        );
    }
}

#[test]
fn a_dropped_turn_that_overwrote_too_much_loses_the_cache() {
    // Even in the shortest chunks, this many steps read more than the ring can take back.
    let (engine, first) = dropped_at(16, &text_of(REWIND_TOKENS + 4 * MAX_CHUNK));
    assert_eq!(engine.cached_through("c"), None);
    let mut messages = history(&[("Hello", &first)]);
    messages.push(user(2, "go on"));
    ask(&engine, request("c", None, messages));
}

#[test]
fn a_dropped_first_turn_leaves_nothing() {
    let (engine, actions) = start_with_action_at(3);
    let generation = engine
        .generate(request("c", None, vec![user(1, "Hello")]))
        .expect("not busy");
    actions
        .send(Box::new(move || drop(generation)))
        .expect("the scheduler waits for it");
    ask(&engine, request("other", None, vec![user(1, "Hello")]));
    assert_eq!(engine.cached_through("c"), None);
}
