//! Asks an OpenAI-compatible server one question and prints the answer as it arrives:
//! `ask_openai URL MODEL [QUESTION]`, with the key in `API_KEY`. Without arguments it asks a scripted server.

use std::io::{Write, stdout};

use engine::{EngineEvent, Message, Options, Request, TurnTag};
use streaming_llm_engine_openai::OpenAiServer;
use tokio::runtime::Handle;
use upstream::testing::{ScriptedServer, Step};
use upstream::{ApiKey, Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let line = r#"{"choices":[{"delta":{"content":"Hello from a script."},"finish_reason":"stop"}]}"#;
    let events = format!("data: {line}\n\ndata: [DONE]\n\n");
    let script = vec![Step::head("200 OK", "text/event-stream"), Step::send(events)];
    let scripted = ScriptedServer::start(vec![script]).await;
    let url = args.next().unwrap_or_else(|| scripted.url().to_owned());
    let model = args.next().unwrap_or_else(|| "scripted".to_owned());
    let question = args
        .next()
        .unwrap_or_else(|| "What is the capital of France?".to_owned());

    let settings = Settings {
        key: std::env::var("API_KEY").ok().map(|key| ApiKey::new(&key)).transpose()?,
        ..Settings::default()
    };
    // The handle of the runtime that reads the answers; the engine itself is synchronous.
    let server = OpenAiServer::new(&url, settings, Handle::current())?;
    let mut answer = server.engine(&model).generate(Request {
        conversation: "example".to_owned(),
        system: Some("You are a helpful assistant.".to_owned()),
        continues_from: None,
        messages: vec![Message::user(TurnTag(1), question)],
        tools: Vec::new(),
        options: Options::default(),
        seed: 1,
    })?;
    while let Some(event) = answer.next().await {
        match event {
            EngineEvent::Token { text, .. } => {
                print!("{text}");
                stdout().flush()?;
            }
            EngineEvent::ToolCall(call) => println!("wants {}({})", call.name, call.arguments),
            EngineEvent::Queued { .. }
            | EngineEvent::Started(_)
            | EngineEvent::Reasoning { .. }
            | EngineEvent::Evicted { .. } => {}
            EngineEvent::Finished(end) => println!("\n{:.0} tokens/s", end.timings.tokens_per_second),
            EngineEvent::Failed(error) => return Err(error.into()),
        }
    }
    Ok(())
}
