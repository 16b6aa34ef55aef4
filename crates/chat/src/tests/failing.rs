//! However a turn fails, it ends in one error, and the next one is none the worse.

use conversation_store::TurnState;
use engine::{
    Engine, EngineError, EngineEvent, FinishReason, Finished, Script, ScriptedEngine, Timings, TurnTag, Usage,
};

use super::bench::{Bench, requests, started, tokens, told};
use super::engines::{Panics, Refuses, Says};

fn broken() -> EngineError {
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

/// One turn on an engine: what is told of it, and the state that it ends in.
async fn check(engine: impl Engine + 'static, expected: &str, state: TurnState) {
    let bench = Bench::new(engine);
    let handle = bench.start("hi").await;
    assert_eq!(told(&bench.read(&handle).await), expected);
    bench.chat.shared.lanes.idle().await;
    let turn = bench
        .store
        .turn("c", &handle.turn_id)
        .await
        .expect("readable")
        .expect("stored");
    assert_eq!(turn.state, state);
    let terminal = bench
        .log()
        .await
        .into_iter()
        .filter(|(kind, _)| matches!(kind.as_str(), "done" | "error"));
    assert_eq!(terminal.count(), 1);
}

fn says(events: impl IntoIterator<Item = EngineEvent>) -> Says {
    Says(ScriptedEngine::default(), events.into_iter().collect())
}

#[tokio::test]
async fn every_failure_ends_in_one_error() {
    use TurnState::{Cancelled, Done, Failed};
    check(
        ScriptedEngine::new([Script::Fails(Vec::new(), broken())]),
        "user started error:internal",
        Failed,
    )
    .await;
    check(says([started(), token("A")]), "user started [A] error:internal", Failed).await;
    check(says([]), "user error:internal", Failed).await;
    check(
        says([token("A"), finished(FinishReason::Stop)]),
        "user error:internal",
        Failed,
    )
    .await;
    check(says([finished(FinishReason::Stop)]), "user error:internal", Failed).await;
    check(
        says([finished(FinishReason::Cancelled)]),
        "user done:cancelled",
        Cancelled,
    )
    .await;
    check(
        says([started(), started(), finished(FinishReason::Stop)]),
        "user started error:internal",
        Failed,
    )
    .await;
    check(
        says([started(), finished(FinishReason::Length)]),
        "user started done:length",
        Done,
    )
    .await;
    check(
        says([EngineEvent::Failed(EngineError::NotCached { tag: TurnTag(7) })]),
        "user error:internal",
        Failed,
    )
    .await;
    // More than the store takes at once.
    let huge = token(&"x".repeat(9 << 20));
    check(
        says([started(), huge, finished(FinishReason::Stop)]),
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
        says([EngineEvent::Failed(too_large)]),
        "user error:context_too_large",
        Failed,
    )
    .await;
    let refuses = |error| Refuses(ScriptedEngine::default(), error);
    check(refuses(EngineError::Busy { waiting: 3 }), "user error:busy", Failed).await;
    let missing = EngineError::ModelUnavailable {
        model: "m".to_owned(),
        reason: "no file".to_owned(),
    };
    check(refuses(missing), "user error:model_unavailable", Failed).await;
    check(Panics(ScriptedEngine::default()), "user error:internal", Failed).await;
}

#[tokio::test]
async fn a_failed_turn_is_no_history() {
    let failing = Script::Fails(vec!["half".to_owned()], broken());
    let engine = ScriptedEngine::new([tokens(&["A"]), failing, tokens(&["C"])]);
    let bench = Bench::new(engine.clone());
    bench.ask("one").await;
    assert_eq!(told(&bench.ask("two").await), "user started [half] error:internal");
    assert_eq!(told(&bench.ask("three").await), "user started [C] done:stop");
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
async fn failed_turns_hide_nothing_however_long_they_are() {
    let failing = || Script::Fails(Vec::new(), broken());
    let engine = ScriptedEngine::new([tokens(&["A"]), failing(), failing(), tokens(&["C"])]);
    let bench = Bench::new(engine.clone());
    bench.ask("one").await;
    // Longer than all the history that is read for one window.
    let long = "word ".repeat(20_000);
    for _ in 0..2 {
        assert_eq!(told(&bench.ask(&long).await), "user started error:internal");
    }
    assert_eq!(told(&bench.ask("three").await), "user started [C] done:stop");
    assert_eq!(requests(&engine)[3], "User one | Assistant A[0] | User three");
}

#[tokio::test]
async fn an_answer_that_the_log_could_not_take_is_no_history_though_it_is_cached() {
    let huge = "x".repeat(9 << 20);
    let engine = ScriptedEngine::new([tokens(&["A"]), tokens(&[&huge]), tokens(&["C"])]);
    let bench = Bench::new(engine.clone());
    bench.ask("one").await;
    assert_eq!(told(&bench.ask("two").await), "user started error:too_large");
    while engine.cached_through("c") != Some(TurnTag(2)) {
        tokio::task::yield_now().await;
    }
    assert_eq!(told(&bench.ask("three").await), "user started [C] done:stop");
    assert_eq!(requests(&engine)[2], "User one | Assistant A[0] | User three");
}

#[tokio::test]
async fn a_lane_outlives_a_panic() {
    let bench = Bench::new(Panics(ScriptedEngine::default()));
    let (one, two) = (bench.start("one").await, bench.start("two").await);
    for handle in [one, two] {
        assert_eq!(told(&bench.read(&handle).await), "user error:internal");
    }
}

#[tokio::test]
async fn a_conversation_deleted_meanwhile_stops_its_turn() {
    let engine = ScriptedEngine::new([tokens(&["A", "B"])]).held();
    let bench = Bench::new(engine.clone());
    let handle = bench.start("one").await;
    bench.wait_for(&handle, "started").await;
    bench.store.delete("c").await.expect("it is deleted");
    engine.release(2);
    bench.chat.shared.lanes.idle().await;
    assert_eq!(bench.store.running().await.expect("readable"), []);
}
