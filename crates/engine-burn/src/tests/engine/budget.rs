//! The memory of caches: who begins when, and who goes.

use engine::{Engine, EngineError, EngineEvent, Generation, TurnTag, channel};

use super::memory::machine;
use super::{ask, fails, request, settings, start, start_with_action_at_within, user};
use crate::worker::{Job, Place, Shelf, Turn};
use crate::{BurnEngine, BurnEngineSettings};

fn start_within(kv_budget_bytes: usize) -> BurnEngine {
    BurnEngine::start(BurnEngineSettings {
        kv_budget_bytes,
        ..settings()
    })
    .expect("the toy model is there")
}

/// Bytes of a conversation's cache when its first turn is as long as it may get.
fn bytes_of_one() -> usize {
    let turn = request("c", None, vec![user(1, "Hello")]);
    let (emitter, _generation) = channel(1);
    let machine = machine();
    let place = Place::find(&turn, &machine, &mut Shelf::default(), &[]).expect("it fits");
    Turn::new(Job::new(turn, emitter), place, &machine, 0).most_cache_bytes()
}

/// What a reader was told of the queue before its turn began.
fn told(generation: &mut Generation) -> Vec<usize> {
    let mut told = Vec::new();
    while let Some(EngineEvent::Queued { ahead }) = generation.blocking_next() {
        told.push(ahead);
    }
    told
}

#[test]
fn the_conversation_used_longest_ago_makes_room() {
    // Room for a single cache: whatever is put there sends the one before away.
    let engine = start_within(1);
    for name in ["a", "b"] {
        ask(&engine, request(name, None, vec![user(1, "Hello")]));
    }
    // Once a further answer is complete, what the last one sent away is known.
    ask(&engine, request("d", None, vec![user(1, "Hello")]));
    assert_eq!(engine.cached_through("a"), None);
    assert_eq!(
        fails(&engine, request("a", Some(1), vec![user(2, "x")])),
        EngineError::NotCached { tag: TurnTag(1) }
    );
}

#[test]
fn a_turn_begins_when_there_is_memory_for_it_and_its_reader_is_told() {
    let names = ["c", "second", "third"];
    let turn = |name| request(name, None, vec![user(1, "Hello")]);
    let expected = names.map(|name| ask(&start(), turn(name)).ids().to_vec());
    // Each of the toy's caches has its smallest size, so that two fit, and three don't.
    let (engine, actions) = start_with_action_at_within(0, 5 * bytes_of_one() / 2);
    let mut running = names.map(|name| engine.generate(turn(name)).expect("not busy"));
    actions.send(Box::new(|| {})).expect("the worker waits for it");
    let [_, _, third] = &mut running;
    assert_eq!(told(third), [2], "two run, and nobody else waits");
    for (generation, expected) in running.into_iter().zip(expected) {
        assert_eq!(read_rest(generation), expected);
    }
}

#[test]
fn one_turn_runs_at_a_time_where_there_is_memory_for_none() {
    let (engine, actions) = start_with_action_at_within(0, 1);
    let mut running = ["c", "second", "third"].map(|name| {
        engine
            .generate(request(name, None, vec![user(1, "Hello")]))
            .expect("not busy")
    });
    actions.send(Box::new(|| {})).expect("the worker waits for it");
    let [_, second, third] = &mut running;
    assert_eq!((told(second), told(third)), (vec![1], vec![2, 1]));
    for generation in running {
        read_rest(generation);
    }
    assert_eq!(
        ["c", "second", "third"].map(|name| engine.cached_through(name)),
        [None, None, Some(TurnTag(1))]
    );
}

#[test]
fn idle_conversations_make_room_for_a_turn_that_begins() {
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
fn a_conversation_that_waits_for_memory_can_be_forgotten_or_given_up() {
    let (engine, actions) = start_with_action_at_within(0, 1);
    let turn = |name| {
        engine
            .generate(request(name, None, vec![user(1, "Hello")]))
            .expect("not busy")
    };
    let (first, mut forgotten, given_up, last) = (turn("c"), turn("forgotten"), turn("given up"), turn("last"));
    actions.send(Box::new(|| {})).expect("the worker waits for it");
    let queued = forgotten.blocking_next();
    assert!(matches!(queued, Some(EngineEvent::Queued { ahead: 1 })), "{queued:?}");
    engine.forget("forgotten");
    drop(given_up);
    for generation in [first, forgotten, last] {
        read_rest(generation);
    }
    assert_eq!(
        ["forgotten", "given up", "last"].map(|name| engine.cached_through(name)),
        [None, None, Some(TurnTag(1))]
    );
}

/// The ids of an answer whose beginning may have been read.
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
