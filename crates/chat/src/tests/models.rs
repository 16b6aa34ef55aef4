//! The choice of the model, and turns whose model doesn't answer.

use std::sync::Arc;

use engine::{Engine, EngineError, Script, ScriptedEngine};
use protocol::{OptionsPatch, ServerEvent};

use super::engines::BoundedEngine;
use super::test_chat::{TestChat, assert_refused, command, requests, summary, tokens};
use crate::{Models, TurnCommand};

/// A local model `scripted`, and remote ones: `big:NAME`, whose context has `context_tokens`.
struct TwoModels {
    local: ScriptedEngine,
    remote: ScriptedEngine,
}

impl TwoModels {
    fn new(local: impl IntoIterator<Item = Script>, remote: impl IntoIterator<Item = Script>) -> Self {
        Self {
            local: ScriptedEngine::new(local),
            remote: ScriptedEngine::new(remote),
        }
    }

    fn models(&self, context_tokens: u64) -> Models {
        let (local, remote) = (Arc::new(self.local.clone()), self.remote.clone());
        let open = move |name: &str| -> Result<Arc<dyn Engine>, String> {
            match name {
                "m" => Ok(Arc::new(BoundedEngine(remote.clone(), "big:m", context_tokens))),
                other => Err(format!("there is no {other}")),
            }
        };
        Models::builder("scripted")
            .local(local)
            .driver("big", Box::new(open))
            .tags_by("big")
            .allow(["big:m".to_owned()])
            .build()
    }

    fn test(&self) -> TestChat {
        TestChat::with_models(self.models(8_192), |_| {})
    }
}

fn asking_for(model: &str) -> TurnCommand {
    TurnCommand {
        options: OptionsPatch::parse(&format!(r#"{{"model":{model}}}"#)).expect("in range"),
        ..command("hi")
    }
}

fn unavailable() -> EngineError {
    EngineError::ModelUnavailable {
        model: "m".to_owned(),
        reason: "nobody listens".to_owned(),
    }
}

#[tokio::test]
async fn a_message_chooses_among_allowed_models() {
    let engines = TwoModels::new([tokens(&["L"])], [tokens(&["R"])]);
    let test = engines.test();
    for (model, answer) in [("\"big:m\"", "[R]"), ("null", "[L]")] {
        let handle = test.chat.start_turn(asking_for(model)).await.expect("it is allowed");
        let events = test.read(&handle).await;
        assert_eq!(summary(&events), format!("user started {answer} done:stop"));
    }
    let other = test.chat.start_turn(asking_for("\"big:other\"")).await;
    assert_refused(
        other,
        "invalid_request",
        "\"big:other\" is not allowed here, only scripted, big:m",
    );
}

#[tokio::test]
async fn an_agents_model_answers_and_is_logged() {
    let engines = TwoModels::new([], [tokens(&["R"])]);
    let test = engines.test();
    test.write_agent("tester", "model: big:m");
    let events = test.ask("hi").await;
    let (ServerEvent::User(user), ServerEvent::Started(started)) = (&events[0], &events[1]) else {
        panic!("{events:?}")
    };
    assert_eq!(
        (user.options.model.as_str(), started.model.as_str()),
        ("big:m", "big:m")
    );
}

#[tokio::test]
async fn the_next_model_answers_when_the_first_refuses() {
    let engines = TwoModels::new([tokens(&["L"])], [Script::Refuses(unavailable())]);
    let test = engines.test();
    test.write_agent("tester", "model: ['big:m', nowhere, scripted]");
    assert_eq!(summary(&test.ask("hi").await), "user started [L] done:stop");
    assert_eq!(requests(&engines.remote).len(), 1);
}

#[tokio::test]
async fn no_other_model_continues_a_partial_answer() {
    let half = Script::Fails(vec!["ha".to_owned()], unavailable());
    let engines = TwoModels::new([tokens(&["L"])], [half]);
    let test = engines.test();
    test.write_agent("tester", "model: ['big:m', scripted]");
    assert_eq!(
        summary(&test.ask("hi").await),
        "user started [ha] error:model_unavailable"
    );
    assert!(requests(&engines.local).is_empty());
}

#[tokio::test]
async fn when_no_model_answers_the_first_error_is_reported() {
    let busy = EngineError::UpstreamBusy {
        server: "s".to_owned(),
        reason: "full".to_owned(),
    };
    let engines = TwoModels::new([Script::Refuses(unavailable())], [Script::Refuses(busy)]);
    let test = engines.test();
    test.write_agent("tester", "model: ['big:m', scripted]");
    assert_eq!(summary(&test.ask("hi").await), "user error:busy");
    assert_eq!(
        summary(&test.ask("hi").await),
        "user started [echo: ] [hi] done:stop",
        "the next turn tries again"
    );
}

#[tokio::test]
async fn models_may_change_within_a_conversation() {
    let engines = TwoModels::new([tokens(&["A"]), tokens(&["C"])], [tokens(&["B"])]);
    let test = engines.test();
    for model in ["null", "\"big:m\"", "null"] {
        let handle = test.chat.start_turn(asking_for(model)).await.expect("it is allowed");
        test.read(&handle).await;
    }
    assert_eq!(requests(&engines.remote), ["User hi | Assistant A | User hi"]);
    assert_eq!(requests(&engines.local)[1], "after 1: User hi | Assistant B | User hi");
}

#[tokio::test]
async fn turns_truncated_for_a_bounded_model_are_logged_as_evicted() {
    let engines = TwoModels::new([], []);
    let test = TestChat::with_models(engines.models(160), |settings| settings.max_new_tokens = 16);
    test.write_agent("tester", "model: big:m");
    let word = "w".repeat(60);
    let mut evicted = Vec::new();
    for _ in 0..4 {
        for event in test.ask(&word).await {
            if let ServerEvent::Evicted(event) = event {
                evicted.push(event);
            }
        }
    }
    let turns = test.store.turns("c", 0, 10).await.expect("readable");
    let named: Vec<&String> = evicted.iter().flat_map(|event| &event.turns).collect();
    assert_eq!(
        named,
        [&turns[0].turn_id, &turns[1].turn_id],
        "each turn is named once, when it is left out"
    );
    let tokens: Vec<u64> = evicted.iter().map(|event| event.tokens).collect();
    assert_eq!(tokens, [28 + 30; 2], "and so are its tokens");
    let last = requests(&engines.remote).pop().expect("it was asked");
    assert_eq!(last.matches("User").count(), 2, "{last}");
}

#[tokio::test]
async fn a_question_too_large_for_a_bounded_model_fails() {
    let engines = TwoModels::new([], []);
    let test = TestChat::with_models(engines.models(100), |_| {});
    test.write_agent("tester", "model: big:m");
    assert_eq!(
        summary(&test.ask(&"w".repeat(400)).await),
        "user error:context_too_large"
    );
}

#[test]
fn model_names_resolve_to_their_driver() {
    let models = TwoModels::new([], []).models(8_192);
    let full = |name: &str| models.full_name(name);
    assert_eq!(full("llama3.2:1b"), "big:llama3.2:1b");
    assert_eq!(full("big:m"), "big:m");
    for local in ["scripted", "C:\\m.gguf", "c:m", "a/b:c", "x:"] {
        assert_eq!(full(local), local);
    }
    assert_eq!(
        (models.driver("llama3.2:1b"), models.driver("scripted")),
        ("big", "local")
    );
    let nowhere = models.engine("nowhere").err().map(|error| error.to_string());
    let expected = "model \"nowhere\" is not available: it is not the local model, \"scripted\", and names no driver";
    assert_eq!(nowhere.as_deref(), Some(expected));
    let refused = models.engine("big:x").err().map(|error| error.to_string());
    assert_eq!(
        refused.as_deref(),
        Some("model \"big:x\" is not available: there is no x")
    );
}
