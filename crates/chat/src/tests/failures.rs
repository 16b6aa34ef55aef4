//! A failed turn ends in one `error`, and the turns after it are not affected.

use conversation_store::TurnState;
use engine::{
    Engine, EngineError, EngineEvent, FinishReason, Finished, Script, ScriptedEngine, Timings, TurnTag, Usage,
};

use super::engines::{EmittingEngine, PanickingEngine, RefusingEngine};
use super::test_chat::{TestChat, requests, started, summary, tokens};
use super::waiting::wait_until;

fn internal_error() -> EngineError {
    EngineError::Internal {
        reason: "a fault".to_owned(),
    }
}

fn finished(reason: FinishReason) -> EngineEvent {
    let (usage, timings) = (
        Usage::default(),
        Timings {
            tokens_per_second: f64::NAN,
            ..Timings::default()
        },
    );
    EngineEvent::Finished(Finished {
        reason,
        answer_ids: Vec::new(),
        usage,
        timings,
    })
}

fn token(text: &str) -> EngineEvent {
    EngineEvent::Token {
        text: text.to_owned(),
        ids: vec![1],
    }
}

/// Checks the events of one turn on an engine, and the state in which it ends.
async fn check(engine: impl Engine + 'static, expected: &str, state: TurnState) {
    let test = TestChat::new(engine);
    let handle = test.start("hi").await;
    assert_eq!(summary(&test.read(&handle).await), expected);
    test.wait_for_idle().await;
    let turn = test
        .store
        .turn("c", &handle.turn_id)
        .await
        .expect("readable")
        .expect("stored");
    assert_eq!(turn.state, state);
    let terminal = test
        .log()
        .await
        .into_iter()
        .filter(|(kind, _)| matches!(kind.as_str(), "done" | "error"));
    assert_eq!(terminal.count(), 1);
}

fn emitting(events: impl IntoIterator<Item = EngineEvent>) -> EmittingEngine {
    EmittingEngine(ScriptedEngine::default(), events.into_iter().collect())
}

#[tokio::test]
async fn every_failed_answer_ends_in_one_error() {
    use TurnState::{Cancelled, Done, Failed};
    check(
        ScriptedEngine::new([Script::Fails(Vec::new(), internal_error())]),
        "user started error:internal",
        Failed,
    )
    .await;
    check(
        emitting([started(), token("A")]),
        "user started [A] error:internal",
        Failed,
    )
    .await;
    check(emitting([]), "user error:internal", Failed).await;
    check(
        emitting([token("A"), finished(FinishReason::Stop)]),
        "user error:internal",
        Failed,
    )
    .await;
    check(emitting([finished(FinishReason::Stop)]), "user error:internal", Failed).await;
    check(
        emitting([finished(FinishReason::Cancelled)]),
        "user done:cancelled",
        Cancelled,
    )
    .await;
    check(
        emitting([started(), started(), finished(FinishReason::Stop)]),
        "user started error:internal",
        Failed,
    )
    .await;
    check(
        emitting([started(), finished(FinishReason::Length)]),
        "user started done:length",
        Done,
    )
    .await;
    check(
        emitting([EngineEvent::Failed(EngineError::NotCached { tag: TurnTag(7) })]),
        "user error:internal",
        Failed,
    )
    .await;
    // More than the store accepts in one append.
    let huge = token(&"x".repeat(9 << 20));
    check(
        emitting([started(), huge, finished(FinishReason::Stop)]),
        "user started error:too_large",
        Failed,
    )
    .await;
    let too_large = EngineError::ContextTooLarge {
        part: "the system part",
        needed_tokens: 9,
        limit_tokens: 8,
    };
    check(
        emitting([EngineEvent::Failed(too_large)]),
        "user error:context_too_large",
        Failed,
    )
    .await;
}

#[tokio::test]
async fn every_engine_that_refuses_or_panics_ends_the_turn_in_one_error() {
    use TurnState::Failed;
    let refusing = |error| RefusingEngine(ScriptedEngine::default(), error);
    check(refusing(EngineError::Busy { waiting: 3 }), "user error:busy", Failed).await;
    let missing = EngineError::ModelUnavailable {
        model: "m".to_owned(),
        reason: "no file".to_owned(),
    };
    check(refusing(missing), "user error:model_unavailable", Failed).await;
    check(
        PanickingEngine(ScriptedEngine::default()),
        "user error:internal",
        Failed,
    )
    .await;
}

#[tokio::test]
async fn a_failed_turn_is_left_out_of_history() {
    let failing = Script::Fails(vec!["half".to_owned()], internal_error());
    let engine = ScriptedEngine::new([tokens(&["A"]), failing, tokens(&["C"])]);
    let test = TestChat::new(engine.clone());
    test.ask("one").await;
    assert_eq!(summary(&test.ask("two").await), "user started [half] error:internal");
    assert_eq!(summary(&test.ask("three").await), "user started [C] done:stop");
    assert_eq!(
        requests(&engine),
        [
            "User one",
            "after 1: User two",
            "User one | Assistant A[0] | User three"
        ]
    );
}

#[tokio::test]
async fn long_failed_turns_do_not_hide_earlier_history() {
    let failing = || Script::Fails(Vec::new(), internal_error());
    let engine = ScriptedEngine::new([tokens(&["A"]), failing(), failing(), tokens(&["C"])]);
    let test = TestChat::new(engine.clone());
    test.ask("one").await;
    // Longer than all the history that is read for one window.
    let long = "word ".repeat(20_000);
    for _ in 0..2 {
        assert_eq!(summary(&test.ask(&long).await), "user started error:internal");
    }
    assert_eq!(summary(&test.ask("three").await), "user started [C] done:stop");
    assert_eq!(requests(&engine)[3], "User one | Assistant A[0] | User three");
}

#[tokio::test]
async fn an_answer_that_could_not_be_logged_is_left_out_of_history_though_it_is_cached() {
    let huge = "x".repeat(9 << 20);
    let engine = ScriptedEngine::new([tokens(&["A"]), tokens(&[&huge]), tokens(&["C"])]);
    let test = TestChat::new(engine.clone());
    test.ask("one").await;
    assert_eq!(summary(&test.ask("two").await), "user started error:too_large");
    let is_cached = || engine.cached_through("c") == Some(TurnTag(2));
    wait_until("the engine to cache the second turn", is_cached).await;
    assert_eq!(summary(&test.ask("three").await), "user started [C] done:stop");
    assert_eq!(requests(&engine)[2], "User one | Assistant A[0] | User three");
}

#[tokio::test]
async fn a_queue_outlives_a_panic() {
    let test = TestChat::new(PanickingEngine(ScriptedEngine::default()));
    let (one, two) = (test.start("one").await, test.start("two").await);
    for handle in [one, two] {
        assert_eq!(summary(&test.read(&handle).await), "user error:internal");
    }
}

#[tokio::test]
async fn deleting_a_conversation_ends_its_running_turn() {
    let engine = ScriptedEngine::new([tokens(&["A", "B"])]).held();
    let test = TestChat::new(engine.clone());
    let handle = test.start("one").await;
    test.wait_for(&handle, "started").await;
    test.store.delete("c").await.expect("it is deleted");
    engine.release(2);
    test.wait_for_idle().await;
    assert_eq!(test.store.running().await.expect("readable"), []);
}
