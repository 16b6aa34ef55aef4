//! Settings and requests that are refused, and dense caches at their end.

use engine::{Engine, EngineError, FinishReason, Role, Tool};

use super::{ask, assistant, fails, fixture, request, settings, start, user};
use crate::{BurnEngine, BurnEngineError, BurnEngineSettings};

#[track_caller]
fn check_start(change: impl FnOnce(&mut BurnEngineSettings), expected: &str) {
    let mut settings = settings();
    change(&mut settings);
    let error: BurnEngineError = BurnEngine::start(settings).expect_err("it can't start");
    let message = crate::error::with_sources(&error);
    assert!(message.contains(expected), "{message:?} should contain {expected:?}");
}

#[test]
fn invalid_settings_are_refused_with_a_reason() {
    check_start(
        |settings| settings.model = fixture("no-such-model.gguf"),
        "no-such-model.gguf",
    );
    check_start(|settings| settings.start_size = 0, "start_size is 0");
    check_start(|settings| settings.recent_size = 0, "recent_size is 0");
    check_start(|settings| settings.threads = Some(0), "threads is 0");
    let too_large = "4 sinks and a window of 508 tokens don't fit a model trained for 512 tokens";
    check_start(|settings| settings.recent_size = 508, too_large);
    check_start(|settings| settings.recent_size = usize::MAX, "don't fit");
    let mut largest = settings();
    largest.recent_size = 507;
    ask(
        &BurnEngine::start(largest).expect("it just fits"),
        request("c", None, vec![user(1, "Hello")]),
    );
}

#[track_caller]
fn check_invalid(change: impl FnOnce(&mut engine::Request), expected: &str) {
    let engine = start();
    let mut request = request("c", None, vec![user(1, "one"), assistant(1, &[80]), user(2, "two")]);
    change(&mut request);
    match fails(&engine, request) {
        EngineError::InvalidRequest { reason } => assert!(reason.contains(expected), "{reason:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn invalid_requests_are_refused_with_a_reason() {
    check_invalid(|request| request.messages.clear(), "needs a message");
    check_invalid(|request| request.messages[2].role = Role::ASSISTANT, "in turn");
    check_invalid(|request| drop(request.messages.remove(0)), "in turn");
    check_invalid(|request| request.messages[1].ids = Some(vec![80, 9_999]), "9999");
}

#[test]
fn tools_are_refused_with_the_name_of_the_model() {
    let engine = start();
    let mut request = request("c", None, vec![user(1, "one")]);
    request.tools.push(Tool {
        name: "now".to_owned(),
        description: String::new(),
        parameters: "{}".to_owned(),
    });
    let refused = engine.generate(request).err().map(|error| error.to_string());
    assert_eq!(refused.as_deref(), Some("model \"toy\" can't be offered tools"));
}

fn start_dense() -> BurnEngine {
    let mut settings = settings();
    settings.streaming = false;
    BurnEngine::start(settings).expect("the toy model is there")
}

#[test]
fn a_dense_cache_ends_at_the_trained_context() {
    let engine = start_dense();
    assert_eq!((engine.model().sink_tokens, engine.model().window_tokens), (0, 512));
    let mut first = request("c", None, vec![user(1, &"Q".repeat(400))]);
    first.options.max_new_tokens = 8_000;
    let first = ask(&engine, first);
    assert_eq!(first.finished.reason, FinishReason::Length);
    // Every position is taken, and the last token is chosen without being read.
    assert_eq!(
        first.started.prompt_tokens + first.finished.usage.completion_tokens,
        513
    );
    assert_eq!(first.finished.usage.evicted_tokens, 0);
    let error = fails(&engine, request("c", Some(1), vec![user(2, "x")]));
    let EngineError::ContextTooLarge {
        part: "the conversation",
        limit_tokens: 512,
        ..
    } = error
    else {
        panic!("{error:?}")
    };
    let error = fails(&engine, request("d", None, vec![user(1, &"Q".repeat(500))]));
    let EngineError::ContextTooLarge { limit_tokens: 512, .. } = error else {
        panic!("{error:?}")
    };
}

#[test]
fn an_endless_engine_stops_at_no_token() {
    /// The token with which the toy ends its answers.
    const STOP_ID: u32 = 2;
    let engine = crate::eval::bench::start_endless(settings()).expect("the toy model is there");
    let mut stops = 0;
    for tag in 1..=32 {
        let mut next = request("c", (tag > 1).then(|| tag - 1), vec![user(tag, "Hello")]);
        next.options.max_new_tokens = 100;
        let answer = ask(&engine, next);
        assert_eq!(answer.finished.reason, FinishReason::Length);
        assert_eq!(answer.finished.usage.completion_tokens, 100);
        stops += answer.ids().iter().filter(|&&id| id == STOP_ID).count();
    }
    assert!(stops > 0, "of 3,200 tokens one is the stop token");
}
