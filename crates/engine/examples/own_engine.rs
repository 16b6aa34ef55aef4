//! Runs a scripted answer and prints it, from the request to the last event.

use streaming_llm_engine::{Engine, EngineEvent, Message, Options, Request, Script, ScriptedEngine, TurnTag};

fn main() {
    let engine = ScriptedEngine::new([Script::Tokens(vec!["Hello".to_owned(), ", world".to_owned()])]);
    let request = Request {
        conversation: "example".to_owned(),
        system: Some("You are brief.".to_owned()),
        continues_from: None,
        messages: vec![Message::user(TurnTag(1), "Greet me.")],
        tools: Vec::new(),
        options: Options::default(),
        seed: 7,
    };
    let mut generation = engine.generate(request).expect("the scripted engine is never busy");
    while let Some(event) = generation.blocking_next() {
        match event {
            EngineEvent::Token { text, .. } => print!("{text}"),
            EngineEvent::Finished(finished) => println!("\nfinished: {:?}", finished.reason),
            EngineEvent::Failed(error) => eprintln!("failed: {error}"),
            EngineEvent::Queued { .. }
            | EngineEvent::Started(_)
            | EngineEvent::Reasoning { .. }
            | EngineEvent::ToolCall(_)
            | EngineEvent::Evicted { .. } => {}
        }
    }
}
