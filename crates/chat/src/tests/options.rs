//! Options from four layers, and how they are logged.

use engine::{Options, ScriptedEngine};
use protocol::{OptionsPatch, ServerEvent};

use super::test_chat::{TestChat, command};
use crate::TurnCommand;

fn patch(text: &str) -> OptionsPatch {
    OptionsPatch::parse(text).expect("in range")
}

#[tokio::test]
async fn message_overrides_hello_overrides_agent_overrides_defaults() {
    let engine = ScriptedEngine::new([]);
    let test = TestChat::new(engine.clone());
    test.write_agent(
        "tester",
        "options: {temperature: 1, topK: 5, min_p: 0.1, seed: 7, stop: [x]}",
    );
    let layered = TurnCommand {
        hello_options: patch(r#"{"temperature":2,"topK":6,"minP":null,"windowTokens":300,"model":"scripted"}"#),
        options: patch(r#"{"temperature":0,"topK":null}"#),
        ..command("hi")
    };
    let handle = test.chat.start_turn(layered).await.expect("it starts");
    let events = test.read(&handle).await;
    let request = engine.requests().remove(0);
    let expected = Options {
        temperature: 0.0,
        stop: vec!["x".to_owned()],
        window_tokens: Some(300),
        ..Options::default()
    };
    assert_eq!((request.options, request.seed), (expected, 7));
    let ServerEvent::User(user) = &events[0] else {
        panic!("the first event is the user's")
    };
    let logged = serde_json::to_string(&user.options).expect("options can be written");
    let expected = r#"{"temperature":0.0,"topP":0.95,"topK":0,"minP":0.0,"repeatPenalty":1.0,"maxNewTokens":512,"stop":["x"],"sinkTokens":4,"windowTokens":300,"model":"scripted"}"#;
    assert_eq!((logged.as_str(), user.seed), (expected, 7));
}

#[tokio::test]
async fn a_seed_is_drawn_for_each_turn_and_is_exact_in_json() {
    let engine = ScriptedEngine::new([]);
    let test = TestChat::new(engine.clone());
    for _ in 0..2 {
        test.ask("hi").await;
    }
    let seeds: Vec<u64> = engine.requests().iter().map(|request| request.seed).collect();
    assert_ne!(seeds[0], seeds[1]);
    assert!(
        seeds.iter().all(|seed| *seed < 1 << 53),
        "a seed is a number that every JSON reader keeps exactly"
    );
}
