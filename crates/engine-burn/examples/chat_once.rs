//! Asks the local model one question and prints the answer as it comes: `chat_once [MODEL] [QUESTION]`.

use std::io::{Write, stdout};
use std::path::PathBuf;

use engine::{Engine, EngineEvent, Message, Options, Request, TurnTag};
use streaming_llm_engine_burn::{BurnEngine, BurnEngineSettings, DeviceChoice};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let model = args
        .next()
        .unwrap_or_else(|| "models/smollm2-135m-instruct.gguf".to_owned());
    let question = args
        .next()
        .unwrap_or_else(|| "What is the capital of France?".to_owned());

    let mut settings = BurnEngineSettings::new(PathBuf::from(model), "local");
    settings.device = DeviceChoice::Cpu;
    // Returns at once; the model loads in the engine's own thread.
    let engine = BurnEngine::start(settings)?;
    let mut answer = engine.generate(Request {
        conversation: "example".to_owned(),
        system: Some("You are a helpful assistant.".to_owned()),
        continues_from: None,
        messages: vec![Message::user(TurnTag(1), question)],
        tools: Vec::new(),
        options: Options {
            temperature: 0.0,
            max_new_tokens: 64,
            ..Options::default()
        },
        seed: 1,
    })?;
    while let Some(event) = answer.blocking_next() {
        match event {
            EngineEvent::Queued { ahead } => eprintln!("{ahead} answers are ahead"),
            EngineEvent::Started(started) => eprintln!("reading {} tokens", started.prompt_tokens),
            EngineEvent::Token { text, .. } => {
                print!("{text}");
                stdout().flush()?;
            }
            EngineEvent::Reasoning { .. } | EngineEvent::ToolCall(_) => {}
            EngineEvent::Evicted { tokens, .. } => eprintln!("\n{tokens} tokens left the window"),
            EngineEvent::Finished(end) => println!("\n{:.0} tokens/s", end.timings.tokens_per_second),
            EngineEvent::Failed(error) => return Err(error.into()),
        }
    }
    // A next turn would continue from the cache: `continues_from: engine.cached_through("example")`.
    Ok(())
}
