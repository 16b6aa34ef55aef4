//! The local model inside an axum service: `POST /generate` with a question streams the answer as text.
//!
//! The example asks itself one question and ends; a real service would only call `axum::serve`.

use std::path::PathBuf;
use std::sync::Arc;

use axum::{Router, body::Body, extract::State, http::StatusCode, routing::post};
use engine::{Engine, EngineEvent, Message, Options, Request, TurnTag};
use streaming_llm_engine_burn::{BurnEngine, BurnEngineSettings, DeviceChoice};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn generate(State(engine): State<Arc<BurnEngine>>, question: String) -> Result<Body, (StatusCode, String)> {
    let request = Request {
        conversation: "anyone".to_owned(),
        system: Some("You are brief.".to_owned()),
        continues_from: None,
        messages: vec![Message::user(TurnTag(1), question)],
        tools: Vec::new(),
        options: Options {
            max_new_tokens: 24,
            ..Options::default()
        },
        seed: 1,
    };
    let busy = |error: engine::EngineError| (StatusCode::SERVICE_UNAVAILABLE, error.to_string());
    let answer = engine.generate(request).map_err(busy)?;
    // A client that disconnects drops the answer, and the model stops.
    let tokens = futures_util::stream::unfold(answer, async |mut answer| {
        loop {
            match answer.next().await? {
                EngineEvent::Token { text, .. } => return Some((Ok(text), answer)),
                EngineEvent::Failed(error) => return Some((Err(error), answer)),
                _ => {}
            }
        }
    });
    Ok(Body::from_stream(tokens))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = PathBuf::from("models/smollm2-135m-instruct.gguf");
    let mut settings = BurnEngineSettings::new(model, "local");
    settings.device = DeviceChoice::Cpu;
    let engine = Arc::new(BurnEngine::start(settings)?);
    let service = Router::new().route("/generate", post(generate)).with_state(engine);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    tokio::spawn(async move { axum::serve(listener, service).await });

    let question = "What is the capital of France?";
    let head = "POST /generate HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: text/plain";
    let asked = format!("{head}\r\ncontent-length: {}\r\n\r\n{question}", question.len());
    client.write_all(asked.as_bytes()).await?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await?;
    println!("{answer}");
    Ok(())
}
