//! The scripted engine fulfils the contract of the trait.

use crate::{
    Engine, EngineError, EngineEvent, FinishReason, Generation, Message, Options, Request, Script, ScriptedEngine,
    TurnTag,
};

fn request(tag: u64, continues_from: Option<u64>, text: &str) -> Request {
    Request {
        conversation: "c".to_owned(),
        system: None,
        continues_from: continues_from.map(TurnTag),
        messages: vec![Message::user(TurnTag(tag), text)],
        tools: Vec::new(),
        options: Options::default(),
        seed: 1,
    }
}

fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// Reads an answer to its end and returns its text and its last event.
#[track_caller]
fn read(mut generation: Generation) -> (String, EngineEvent) {
    let mut text = String::new();
    loop {
        match generation.blocking_next().expect("an answer ends with an event") {
            EngineEvent::Token { text: more, .. } => text.push_str(&more),
            EngineEvent::Queued { .. }
            | EngineEvent::Started(_)
            | EngineEvent::Reasoning { .. }
            | EngineEvent::ToolCall(_)
            | EngineEvent::Evicted { .. } => {}
            last @ (EngineEvent::Finished(_) | EngineEvent::Failed(_)) => return (text, last),
        }
    }
}

#[track_caller]
fn check(engine: &ScriptedEngine, request: Request, text: &str, reason: FinishReason) {
    let (got, last) = read(engine.generate(request).expect("the scripted engine is never busy"));
    assert_eq!(got, text);
    match last {
        EngineEvent::Finished(finished) => assert_eq!(finished.reason, reason),
        other => panic!("expected an end by {reason:?}, got {other:?}"),
    }
}

#[test]
fn scripts_are_played_in_order_before_it_echoes() {
    let engine = ScriptedEngine::new([Script::Tokens(words(&["a", "b"]))]);
    check(&engine, request(1, None, "x"), "ab", FinishReason::Stop);
    check(
        &engine,
        request(2, Some(1), "two words"),
        "echo: two words",
        FinishReason::Stop,
    );
    assert_eq!(engine.cached_through("c"), Some(TurnTag(2)));
}

#[test]
fn the_limit_of_tokens_ends_an_answer() {
    let engine = ScriptedEngine::new([Script::Tokens(words(&["a", "b", "c"]))]);
    let mut limited = request(1, None, "x");
    limited.options.max_new_tokens = 2;
    check(&engine, limited, "ab", FinishReason::Length);
}

#[test]
fn continuing_from_a_turn_that_is_not_cached_fails() {
    let engine = ScriptedEngine::default();
    let (_, last) = read(engine.generate(request(2, Some(1), "x")).expect("never busy"));
    assert_eq!(last, EngineEvent::Failed(EngineError::NotCached { tag: TurnTag(1) }));
}

#[test]
fn a_failure_keeps_the_text_before_it_and_drops_the_cache() {
    let error = EngineError::Internal {
        reason: "boom".to_owned(),
    };
    let engine = ScriptedEngine::new([
        Script::Tokens(words(&["x"])),
        Script::Fails(words(&["a"]), error.clone()),
    ]);
    check(&engine, request(1, None, "x"), "x", FinishReason::Stop);
    let (text, last) = read(engine.generate(request(2, Some(1), "x")).expect("never busy"));
    assert_eq!((text.as_str(), last), ("a", EngineEvent::Failed(error)));
    assert_eq!(engine.cached_through("c"), None);
}

#[test]
fn a_held_answer_stops_gracefully_when_cancelled() {
    let engine = ScriptedEngine::new([Script::Tokens(words(&["a", "b", "c"]))]).held();
    let generation = engine.generate(request(1, None, "x")).expect("never busy");
    let canceller = generation.canceller();
    engine.release(1);
    let mut generation = generation;
    assert!(matches!(generation.blocking_next(), Some(EngineEvent::Started(_))));
    assert!(matches!(generation.blocking_next(), Some(EngineEvent::Token { .. })));
    canceller.cancel();
    match generation.blocking_next() {
        Some(EngineEvent::Finished(finished)) => {
            assert_eq!(
                (finished.reason, finished.answer_ids),
                (FinishReason::Cancelled, vec![0])
            );
        }
        other => panic!("expected the end, got {other:?}"),
    }
}

#[test]
fn by_message_lets_a_message_choose_its_answer() {
    let engine = ScriptedEngine::default().by_message();
    check(
        &engine,
        request(1, None, "two words"),
        "echo: two words",
        FinishReason::Stop,
    );
    check(
        &engine,
        request(2, None, "/think hm two words"),
        "two words",
        FinishReason::Stop,
    );
    check(
        &engine,
        request(3, None, "/evict 7 two words"),
        "two words",
        FinishReason::Stop,
    );
    check(
        &engine,
        request(4, None, "/dance now"),
        "echo: /dance now",
        FinishReason::Stop,
    );
    let (text, last) = read(
        engine
            .generate(request(5, None, "/fail upstream_failed two"))
            .expect("never busy"),
    );
    assert_eq!(text, "two");
    assert!(
        matches!(last, EngineEvent::Failed(EngineError::UpstreamFailed { .. })),
        "{last:?}"
    );
    let held = engine
        .generate(request(6, None, "/hold two words"))
        .expect("never busy");
    held.canceller().cancel();
    let (_, last) = read(held);
    assert!(
        matches!(&last, EngineEvent::Finished(finished) if finished.reason == FinishReason::Cancelled),
        "{last:?}"
    );
}

#[test]
fn without_by_message_commands_are_echoed() {
    let engine = ScriptedEngine::default();
    check(
        &engine,
        request(1, None, "/hold on"),
        "echo: /hold on",
        FinishReason::Stop,
    );
}
