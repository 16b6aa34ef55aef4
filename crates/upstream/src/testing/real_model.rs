//! Requests to a real model, and its answers, for the drivers' tests.

use engine::{Engine, EngineEvent, Finished, Generation, Request};

use super::{Outcome, request};

/// Returns a request for a few tokens: their content doesn't matter, and the computer may be busy.
#[must_use]
pub fn short_request(text: &str) -> Request {
    let mut request = request(text);
    request.options.max_new_tokens = 6;
    request
}

/// Starts an answer of thousands of tokens and waits for its first one.
///
/// # Panics
/// If the answer begins with other events than `Started` and `Token`.
pub async fn start_long_answer(engine: &dyn Engine) -> Generation {
    let mut request = request("Tell me a very long story about a fox.");
    request.options.max_new_tokens = 2_000;
    let mut generation = engine.generate(request).expect("a server's queue is its own");
    assert!(matches!(generation.next().await, Some(EngineEvent::Started(_))));
    assert!(matches!(generation.next().await, Some(EngineEvent::Token { .. })));
    generation
}

/// Reads a complete answer; returns its text and its end.
///
/// # Panics
/// If the answer fails or is empty.
pub async fn complete_answer(engine: &dyn Engine, request: Request) -> (String, Finished) {
    let mut generation = engine.generate(request).expect("a server's queue is its own");
    let outcome = Outcome::read(&mut generation).await;
    match outcome.last {
        EngineEvent::Finished(finished) if !outcome.text.is_empty() => (outcome.text, finished),
        last => unreachable!("text and an end, not {last:?}"),
    }
}

/// Checks that the engine answers another turn.
///
/// # Panics
/// If it doesn't.
pub async fn check_next_turn(engine: &dyn Engine) {
    complete_answer(engine, short_request("What is the capital of France?")).await;
}

/// Reads an answer to its end and returns all events but text.
pub async fn events_without_text(generation: &mut Generation) -> Vec<EngineEvent> {
    let mut events = Vec::new();
    while let Some(event) = generation.next().await {
        if !matches!(event, EngineEvent::Token { .. }) {
            events.push(event);
        }
    }
    events
}
