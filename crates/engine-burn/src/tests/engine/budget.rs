//! The memory budget of caches: when a request is admitted, and which conversation is evicted.

use engine::{Engine, EngineError, EngineEvent, Generation, TurnTag, channel};

use super::memory::runner;
use super::{ask, fails, request, settings, start, start_with_action_at_within, user};
use crate::scheduler::{Admission, CachePool, QueuedRequest, Sequence};
use crate::{BurnEngine, BurnEngineSettings};

fn start_within(kv_budget_bytes: usize) -> BurnEngine {
    BurnEngine::start(BurnEngineSettings {
        kv_budget_bytes,
        ..settings()
    })
    .expect("the toy model is there")
}

/// Returns the bytes of a conversation's cache when its first turn is as long as it may get.
fn bytes_of_one() -> usize {
    let request = request("c", None, vec![user(1, "Hello")]);
    let (emitter, _generation) = channel(1);
    let runner = runner();
    let admission = Admission::find(&request, &runner, &mut CachePool::default(), std::iter::empty()).expect("it fits");
    Sequence::new(QueuedRequest::new(request, emitter), admission, &runner, 0).max_cache_bytes()
}

/// Returns the queue positions that were reported before the turn began.
fn queue_positions(generation: &mut Generation) -> Vec<usize> {
    let mut positions = Vec::new();
    while let Some(EngineEvent::Queued { ahead }) = generation.blocking_next() {
        positions.push(ahead);
    }
    positions
}

#[test]
fn the_least_recently_used_conversation_is_evicted() {
    // Room for a single cache: each one evicts the one before.
    let engine = start_within(1);
    for name in ["a", "b"] {
        ask(&engine, request(name, None, vec![user(1, "Hello")]));
    }
    // Once a further answer is complete, the eviction by the last one is visible.
    ask(&engine, request("d", None, vec![user(1, "Hello")]));
    assert_eq!(engine.cached_through("a"), None);
    assert_eq!(
        fails(&engine, request("a", Some(1), vec![user(2, "x")])),
        EngineError::NotCached { tag: TurnTag(1) }
    );
}

#[test]
fn a_request_without_memory_waits_and_its_reader_learns_its_position() {
    let names = ["c", "second", "third"];
    let turn = |name| request(name, None, vec![user(1, "Hello")]);
    let expected = names.map(|name| ask(&start(), turn(name)).ids().to_vec());
    // Each of the toy's caches has its smallest size, so that two fit, and three don't.
    let (engine, actions) = start_with_action_at_within(0, 5 * bytes_of_one() / 2);
    let mut running = names.map(|name| engine.generate(turn(name)).expect("not busy"));
    actions.send(Box::new(|| {})).expect("the scheduler waits for it");
    let [_, _, third] = &mut running;
    assert_eq!(queue_positions(third), [2], "two run, and no other one waits");
    for (generation, expected) in running.into_iter().zip(expected) {
        assert_eq!(read_rest(generation), expected);
    }
}

#[test]
fn one_turn_runs_at_a_time_with_memory_for_none() {
    let (engine, actions) = start_with_action_at_within(0, 1);
    let mut running = ["c", "second", "third"].map(|name| {
        engine
            .generate(request(name, None, vec![user(1, "Hello")]))
            .expect("not busy")
    });
    actions.send(Box::new(|| {})).expect("the scheduler waits for it");
    let [_, second, third] = &mut running;
    assert_eq!((queue_positions(second), queue_positions(third)), (vec![1], vec![2, 1]));
    for generation in running {
        read_rest(generation);
    }
    assert_eq!(
        ["c", "second", "third"].map(|name| engine.cached_through(name)),
        [None, None, Some(TurnTag(1))]
    );
}

#[test]
fn idle_conversations_are_evicted_for_an_admitted_one() {
    let engine = start_within(5 * bytes_of_one() / 2);
    for name in ["a", "b", "c"] {
        ask(&engine, request(name, None, vec![user(1, "Hello")]));
    }
    assert_eq!(
        ["a", "b", "c"].map(|name| engine.cached_through(name)),
        [None, Some(TurnTag(1)), Some(TurnTag(1))]
    );
}

#[test]
fn a_conversation_that_waits_for_memory_can_be_forgotten_or_dropped() {
    let (engine, actions) = start_with_action_at_within(0, 1);
    let turn = |name| {
        engine
            .generate(request(name, None, vec![user(1, "Hello")]))
            .expect("not busy")
    };
    let (first, mut forgotten, dropped, last) = (turn("c"), turn("forgotten"), turn("dropped"), turn("last"));
    actions.send(Box::new(|| {})).expect("the scheduler waits for it");
    let queued = forgotten.blocking_next();
    assert!(matches!(queued, Some(EngineEvent::Queued { ahead: 1 })), "{queued:?}");
    engine.forget("forgotten");
    drop(dropped);
    for generation in [first, forgotten, last] {
        read_rest(generation);
    }
    assert_eq!(
        ["forgotten", "dropped", "last"].map(|name| engine.cached_through(name)),
        [None, None, Some(TurnTag(1))]
    );
}

/// Reads the rest of an answer, and returns its ids.
fn read_rest(mut generation: Generation) -> Vec<u32> {
    while let Some(event) = generation.blocking_next() {
        match event {
            EngineEvent::Finished(finished) => return finished.answer_ids,
            EngineEvent::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
    panic!("the answer has no end")
}
