use engine::{EngineError, EngineEvent, FinishReason, Message, TurnTag};
use upstream::testing::{
    PythonServer, check_next_turn, complete_answer, events_without_text, request, short_request, start_long_answer,
};

use super::{engine, server};

#[tokio::test]
async fn real_model_reads_the_whole_conversation() {
    let llama_cpp = PythonServer::llama_cpp(0);
    let models = server(&llama_cpp.url()).models().await.expect("it lists its models");
    assert!(models.iter().any(|model| model.name == "smollm2:135m"), "{models:?}");
    let engine = engine(&llama_cpp.url());
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
        // The prompt begins with the previous turn's prompt and answer, which the server has in its cache.
        assert!(usage.cached_tokens > 0 || request.messages.len() == 1, "{usage:?}");
        assert!(finished.timings.tokens_per_second > 0.0, "{:?}", finished.timings);
        request.messages.push(Message::assistant(TurnTag(7), text));
        request.messages.push(Message::user(TurnTag(8), question));
    }
}

#[tokio::test]
async fn real_model_becomes_idle_when_its_answer_is_cancelled() {
    let llama_cpp = PythonServer::llama_cpp(0);
    let engine = engine(&llama_cpp.url());
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
    llama_cpp.becomes_idle().await;
    check_next_turn(&*engine).await;
}

#[tokio::test]
async fn real_model_that_dies_fails_one_turn() {
    let mut llama_cpp = PythonServer::llama_cpp(0);
    let engine = engine(&llama_cpp.url());
    let mut generation = start_long_answer(&*engine).await;
    let port = llama_cpp.port();
    llama_cpp.kill();
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
    let _restarted = PythonServer::llama_cpp(port);
    check_next_turn(&*engine).await;
}
