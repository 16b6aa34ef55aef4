//! The default model, from start to a second turn.

use engine::{FinishReason, Options, TurnTag};

use super::{ask, fixture, request, user};
use crate::{BurnEngine, BurnEngineSettings, DeviceChoice};

#[test]
fn it_returns_a_greeting_and_answers_a_question() {
    let model = fixture("models/smollm2-135m-instruct.gguf");
    assert!(
        model.exists(),
        "the default model is missing: cargo xtask model fetches it"
    );
    let mut settings = BurnEngineSettings::new(model, "smollm2-135m-instruct");
    settings.device = DeviceChoice::Cpu;
    let engine = BurnEngine::start(settings).expect("the model can be opened");
    let greedy = Options {
        temperature: 0.0,
        max_new_tokens: 64,
        ..Options::default()
    };
    let mut first = request("c", None, vec![user(1, "Hello!")]);
    (first.system, first.options) = (Some("You are a helpful assistant.".to_owned()), greedy);
    let greeting = ask(&engine, first.clone());
    assert_eq!(
        greeting.finished.reason,
        FinishReason::Stop,
        "a greeting is short: {:?}",
        greeting.text
    );
    assert!(greeting.text.starts_with("Hello"), "{:?}", greeting.text);
    let mut second = first;
    (second.continues_from, second.messages) = (Some(TurnTag(1)), vec![user(2, "What is the capital of France?")]);
    let answer = ask(&engine, second);
    assert!(answer.text.contains("Paris"), "{:?}", answer.text);
    // The literal that closes the first answer, the question, and nothing else.
    assert!(answer.started.prompt_tokens < 25, "{:?}", answer.started);
    let before = greeting.started.prompt_tokens + greeting.finished.usage.completion_tokens;
    assert_eq!(answer.started.cached_tokens, before);
}
