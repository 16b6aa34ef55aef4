//! A turn that continues from the cache is the same as one whose whole history is rendered.

use engine::{Engine, EngineError, FinishReason, Options, TurnTag};

use super::{Answer, ask, fails, history, options, request, start, tokens, user};
use crate::BurnEngine;

const FIRST: &str = "Hello there";
const SECOND: &str = "and the other one?";

/// Checks a second turn that continues from the first against the same two turns in a new conversation.
#[track_caller]
fn check(engine: &BurnEngine, first: &Answer, conversation: &str) {
    assert_eq!(engine.cached_through(conversation), Some(TurnTag(1)));
    let second = ask(engine, request(conversation, Some(1), vec![user(2, SECOND)]));
    let mut messages = history(&[(FIRST, first)]);
    messages.push(user(2, SECOND));
    let fresh = ask(engine, request("fresh", None, messages));
    assert_eq!(tokens(&second.started), tokens(&fresh.started));
    assert_eq!((second.ids(), &second.text), (fresh.ids(), &fresh.text));
    assert_eq!(second.started.epoch, fresh.started.epoch);
}

fn first_turn(engine: &BurnEngine, options: Options, seed: u64) -> Answer {
    let mut first = request("c", None, vec![user(1, FIRST)]);
    first.options = options;
    first.seed = seed;
    ask(engine, first)
}

#[test]
fn after_an_answer_of_the_longest_length() {
    let engine = start();
    let first = first_turn(&engine, options(), 1);
    assert_eq!((first.finished.reason, first.ids().len()), (FinishReason::Length, 24));
    check(&engine, &first, "c");
}

#[test]
fn after_an_answer_of_one_token() {
    let engine = start();
    let first = first_turn(
        &engine,
        Options {
            max_new_tokens: 1,
            ..options()
        },
        1,
    );
    check(&engine, &first, "c");
}

/// Stops answers of many seeds in the middle of a token, and where two tokens meet.
#[test]
fn after_stop_strings_within_tokens_and_over_their_borders() {
    let engine = start();
    let mut straddled = 0;
    for seed in 0..12 {
        let whole = first_turn(&engine, options(), seed);
        let chars: Vec<char> = whole.text.chars().collect();
        for at in (1..chars.len().saturating_sub(3)).step_by(5) {
            let stop: String = chars[at..at + 3].iter().collect();
            if stop.contains('\u{FFFD}') {
                continue;
            }
            let stopped = first_turn(
                &engine,
                Options {
                    stop: vec![stop.clone()],
                    ..options()
                },
                seed,
            );
            let kept = &whole.text[..whole.text.find(&stop).expect("the stop string was found there")];
            assert_eq!(stopped.finished.reason, FinishReason::Stop);
            assert_eq!(stopped.text, kept, "before {stop:?}");
            straddled += u32::from(!whole.ids().starts_with(stopped.ids()));
            check(&engine, &stopped, "c");
        }
    }
    assert!(
        straddled > 0,
        "no stop string began inside a token, so the test shows nothing of that"
    );
}

#[test]
fn held_text_belongs_to_an_answer_that_ends_without_its_stop_string() {
    let engine = start();
    let whole = first_turn(&engine, options(), 3);
    let last = whole.text.chars().next_back().expect("the answer has text");
    let stop = format!("{last}and more");
    let held = first_turn(
        &engine,
        Options {
            stop: vec![stop],
            ..options()
        },
        3,
    );
    assert_eq!(
        (&held.text, held.ids(), held.finished.reason),
        (&whole.text, whole.ids(), FinishReason::Length)
    );
    check(&engine, &held, "c");
}

#[test]
fn several_turns_at_once() {
    let engine = start();
    let first = first_turn(&engine, options(), 1);
    let mut messages = vec![user(2, "two"), super::assistant(2, first.ids()), user(3, "three")];
    let continued = ask(&engine, request("c", Some(1), messages.clone()));
    messages.splice(0..0, history(&[(FIRST, &first)]));
    let fresh = ask(&engine, request("fresh", None, messages));
    assert_eq!(continued.ids(), fresh.ids());
}

#[test]
fn a_cache_that_does_not_fit_is_refused_and_kept() {
    let engine = start();
    let not_cached = |tag| EngineError::NotCached { tag: TurnTag(tag) };
    assert_eq!(
        fails(&engine, request("c", Some(1), vec![user(2, SECOND)])),
        not_cached(1)
    );
    let first = first_turn(&engine, options(), 1);
    assert_eq!(
        fails(&engine, request("c", Some(7), vec![user(8, SECOND)])),
        not_cached(7)
    );
    let mut changed = request("c", Some(1), vec![user(2, SECOND)]);
    changed.system = Some("Be another toy.".to_owned());
    assert_eq!(fails(&engine, changed), not_cached(1));
    let mut changed = request("c", Some(1), vec![user(2, SECOND)]);
    changed.options.window_tokens = Some(99);
    assert_eq!(fails(&engine, changed), not_cached(1));
    let mut changed = request("c", Some(1), vec![user(2, SECOND)]);
    changed.options.sink_tokens = Some(99);
    assert_eq!(fails(&engine, changed), not_cached(1));
    check(&engine, &first, "c");
    assert!(engine.cache_bytes() > 0);
    engine.forget("c");
    assert_eq!(engine.cached_through("c"), None);
    assert_eq!(
        fails(&engine, request("c", Some(2), vec![user(3, SECOND)])),
        not_cached(2)
    );
}

#[test]
fn answers_follow_the_seed() {
    let engine = start();
    let answers = [1, 1, 2].map(|seed| first_turn(&engine, options(), seed).text);
    assert_eq!(answers[0], answers[1]);
    assert_ne!(answers[0], answers[2]);
}
