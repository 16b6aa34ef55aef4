//! Asks an Ollama server one question and prints the answer as it arrives: `ask_ollama URL MODEL [QUESTION]`. Without
//! arguments it asks a scripted server.

use std::io::{Write, stdout};

use engine::{EngineEvent, Message, Options, Request, TurnTag};
use streaming_llm_engine_ollama::OllamaServer;
use tokio::runtime::Handle;
use upstream::Settings;
use upstream::testing::{ScriptedServer, Step};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let line = r#"{"message":{"role":"assistant","content":"Hello from a script."},"done":true,"done_reason":"stop"}"#;
    let script = vec![
        Step::head("200 OK", "application/x-ndjson"),
        Step::send(format!("{line}\n")),
    ];
    let scripted = ScriptedServer::start(vec![script]).await;
    let url = args.next().unwrap_or_else(|| scripted.url().to_owned());
    let model = args.next().unwrap_or_else(|| "scripted".to_owned());
    let question = args
        .next()
        .unwrap_or_else(|| "What is the capital of France?".to_owned());

    // The handle of the runtime that reads the answers; the engine itself is synchronous.
    let server = OllamaServer::new(&url, Settings::default(), Handle::current())?;
    let engine = server.engine(&model);
    let mut answer = engine.generate(Request {
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
