//! Which model answers, and what becomes of a turn whose model doesn't.

use std::sync::Arc;

use engine::{Engine, EngineError, Script, ScriptedEngine};
use protocol::{OptionsPatch, ServerEvent};

use super::bench::{Bench, command, refused, requests, tokens, told};
use super::engines::Remote;
use crate::{Models, TurnCommand};

/// A local model `scripted`, and remote ones: `big:NAME`, whose context has `context_tokens`.
struct Two {
    local: ScriptedEngine,
    remote: ScriptedEngine,
}

impl Two {
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
                "m" => Ok(Arc::new(Remote(remote.clone(), "big:m", context_tokens))),
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

    fn bench(&self) -> Bench {
        Bench::with_models(self.models(8_192), |_| {})
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
async fn a_message_chooses_among_the_allowed() {
    let two = Two::new([tokens(&["L"])], [tokens(&["R"])]);
    let bench = two.bench();
    for (model, answer) in [("\"big:m\"", "[R]"), ("null", "[L]")] {
        let handle = bench.chat.start_turn(asking_for(model)).await.expect("it is allowed");
        let events = bench.read(&handle).await;
        assert_eq!(told(&events), format!("user started {answer} done:stop"));
    }
    let other = bench.chat.start_turn(asking_for("\"big:other\"")).await;
    refused(
        other,
        "invalid_request",
        "\"big:other\" is not allowed here, only scripted, big:m",
    );
}

#[tokio::test]
async fn an_agent_names_its_model_and_the_log_says_which() {
    let two = Two::new([], [tokens(&["R"])]);
    let bench = two.bench();
    bench.write_agent("tester", "model: big:m");
    let events = bench.ask("hi").await;
    let (ServerEvent::User(user), ServerEvent::Started(started)) = (&events[0], &events[1]) else {
        panic!("{events:?}")
    };
    assert_eq!(
        (user.options.model.as_str(), started.model.as_str()),
        ("big:m", "big:m")
    );
}

#[tokio::test]
async fn another_model_answers_while_nothing_has_been_sent() {
    let two = Two::new([tokens(&["L"])], [Script::Refuses(unavailable())]);
    let bench = two.bench();
    bench.write_agent("tester", "model: ['big:m', nowhere, scripted]");
    assert_eq!(told(&bench.ask("hi").await), "user started [L] done:stop");
    assert_eq!(requests(&two.remote).len(), 1);
}

#[tokio::test]
async fn no_other_model_goes_on_with_half_an_answer() {
    let half = Script::Fails(vec!["ha".to_owned()], unavailable());
    let two = Two::new([tokens(&["L"])], [half]);
    let bench = two.bench();
    bench.write_agent("tester", "model: ['big:m', scripted]");
    assert_eq!(
        told(&bench.ask("hi").await),
        "user started [ha] error:model_unavailable"
    );
    assert!(requests(&two.local).is_empty());
}

#[tokio::test]
async fn when_no_model_answers_the_first_one_says_why() {
    let busy = EngineError::UpstreamBusy {
        server: "s".to_owned(),
        reason: "full".to_owned(),
    };
    let two = Two::new([Script::Refuses(unavailable())], [Script::Refuses(busy)]);
    let bench = two.bench();
    bench.write_agent("tester", "model: ['big:m', scripted]");
    assert_eq!(told(&bench.ask("hi").await), "user error:busy");
    assert_eq!(
        told(&bench.ask("hi").await),
        "user started [echo: ] [hi] done:stop",
        "the next turn tries anew"
    );
}

#[tokio::test]
async fn models_take_turns_in_one_conversation() {
    let two = Two::new([tokens(&["A"]), tokens(&["C"])], [tokens(&["B"])]);
    let bench = two.bench();
    for model in ["null", "\"big:m\"", "null"] {
        let handle = bench.chat.start_turn(asking_for(model)).await.expect("it is allowed");
        bench.read(&handle).await;
    }
    assert_eq!(requests(&two.remote), ["User hi | Assistant A | User hi"]);
    assert_eq!(requests(&two.local)[1], "after 1: User hi | Assistant B | User hi");
}

#[tokio::test]
async fn a_bounded_model_is_not_shown_the_oldest_turns_and_the_log_says_so() {
    let two = Two::new([], []);
    let bench = Bench::with_models(two.models(160), |settings| settings.max_new_tokens = 16);
    bench.write_agent("tester", "model: big:m");
    let word = "w".repeat(60);
    let mut evicted = Vec::new();
    for _ in 0..4 {
        for event in bench.ask(&word).await {
            if let ServerEvent::Evicted(event) = event {
                evicted.push(event);
            }
        }
    }
    let turns = bench.store.turns("c", 0, 10).await.expect("readable");
    let named: Vec<&String> = evicted.iter().flat_map(|event| &event.turns).collect();
    assert_eq!(
        named,
        [&turns[0].turn_id, &turns[1].turn_id],
        "each turn is said once, when it goes"
    );
    let tokens: Vec<u64> = evicted.iter().map(|event| event.tokens).collect();
    assert_eq!(tokens, [28 + 30; 2], "and so are its tokens");
    let last = requests(&two.remote).pop().expect("it was asked");
    assert_eq!(last.matches("User").count(), 2, "{last}");
}

#[tokio::test]
async fn a_question_that_a_bounded_model_can_never_hold_fails_by_name() {
    let two = Two::new([], []);
    let bench = Bench::with_models(two.models(100), |_| {});
    bench.write_agent("tester", "model: big:m");
    assert_eq!(told(&bench.ask(&"w".repeat(400)).await), "user error:context_too_large");
}

#[test]
fn names_are_told_apart() {
    let models = Two::new([], []).models(8_192);
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
