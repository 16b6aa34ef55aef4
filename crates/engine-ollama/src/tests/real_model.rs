use std::sync::Arc;

use engine::{Engine, EngineError, EngineEvent, FinishReason, Message, TurnTag};
use upstream::testing::{
    PythonServer, check_next_turn, complete_answer, events_without_text, request, short_request, start_long_answer,
};

use super::server;

/// llama.cpp with the real model, and a server with Ollama's interface in front of it.
struct Real {
    llama_cpp: PythonServer,
    ollama: PythonServer,
}

impl Real {
    fn start() -> Self {
        let llama_cpp = PythonServer::llama_cpp(0);
        let ollama = PythonServer::ollama_wire(&llama_cpp, 0);
        Self { llama_cpp, ollama }
    }

    fn engine(&self) -> Arc<dyn Engine> {
        server(&self.ollama.url()).engine("local/smollm2:135m")
    }
}

#[tokio::test]
async fn real_model_reads_the_whole_conversation() {
    let real = Real::start();
    let engine = real.engine();
    let models = server(&real.ollama.url()).models().await.expect("it lists its models");
    assert!(
        models.iter().any(|model| model.name == "local/smollm2:135m"),
        "{models:?}"
    );
    let mut request = short_request("My name is Ada. Say hello to me.");
    request.system = Some("You are a friendly assistant.".to_owned());
    let mut prompt_tokens = 0;
    for question in ["What is my name?", "Say it again.", "Thank you."] {
        let (text, finished) = complete_answer(&*engine, request.clone()).await;
        let usage = finished.usage;
        let read = usage.prompt_tokens + usage.cached_tokens;
        assert!(
            read > prompt_tokens,
            "the prompt grows with the conversation: {usage:?}"
        );
        prompt_tokens = read;
        request.messages.push(Message::assistant(TurnTag(7), text));
        request.messages.push(Message::user(TurnTag(8), question));
    }
}

#[tokio::test]
async fn real_model_becomes_idle_when_its_answer_is_cancelled() {
    let real = Real::start();
    let engine = real.engine();
    let mut generation = start_long_answer(&*engine).await;
    generation.canceller().cancel();
    let verdict = loop {
        match generation.next().await.expect("an answer has an end") {
            EngineEvent::Token { .. } => {}
            last => break last,
        }
    };
    assert!(
        matches!(&verdict, EngineEvent::Finished(finished) if finished.reason == FinishReason::Cancelled),
        "{verdict:?}"
    );
    real.llama_cpp.becomes_idle().await;
    check_next_turn(&*engine).await;
}

#[tokio::test]
async fn real_model_that_dies_fails_one_turn() {
    let mut real = Real::start();
    let engine = real.engine();
    let mut generation = start_long_answer(&*engine).await;
    let port = real.ollama.port();
    real.ollama.kill();
    let failures = events_without_text(&mut generation).await;
    assert!(
        matches!(&failures[..], [EngineEvent::Failed(EngineError::UpstreamFailed { .. })]),
        "{failures:?}"
    );
    // The server is gone now.
    let mut generation = engine.generate(request("Hello")).expect("never busy");
    let failures = events_without_text(&mut generation).await;
    assert!(
        matches!(
            &failures[..],
            [EngineEvent::Failed(EngineError::ModelUnavailable { .. })]
        ),
        "{failures:?}"
    );
    real.ollama = PythonServer::ollama_wire(&real.llama_cpp, port);
    check_next_turn(&*engine).await;
}

#[tokio::test]
async fn real_model_behind_a_server_that_stays_up_fails_one_turn() {
    let mut real = Real::start();
    let engine = real.engine();
    let mut generation = start_long_answer(&*engine).await;
    let port = real.llama_cpp.port();
    real.llama_cpp.kill();
    let failures = events_without_text(&mut generation).await;
    assert!(matches!(&failures[..], [EngineEvent::Failed(_)]), "{failures:?}");
    real.llama_cpp = PythonServer::llama_cpp(port);
    check_next_turn(&*engine).await;
}
