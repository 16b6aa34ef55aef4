//! Rounds with tools: answers by clients and the host, what the model gets, and resuming after a restart.

use std::sync::Arc;
use std::time::Duration;

use engine::{Script, ScriptedEngine, ToolCall};
use protocol::{ServerEvent, ToolDefinition};
use serde_json::{Value, json};

use super::test_chat::{TestChat, command, requests, summary, tokens};
use crate::{ToolFuture, ToolHandler, ToolRequest, TurnCommand, TurnHandle};

fn calls(text: &[&str], names: &[&str]) -> Script {
    let call = |name: &&str| ToolCall {
        id: "same".to_owned(),
        name: (*name).to_owned(),
        arguments: r#"{"city":"Paris"}"#.to_owned(),
    };
    Script::Calls(
        text.iter().map(|&text| text.to_owned()).collect(),
        names.iter().map(call).collect(),
    )
}

fn with_tools(message: &str) -> TurnCommand {
    let tools = ToolDefinition::parse_list("tools", r#"[{"name":"weather"},{"name":"now"}]"#);
    TurnCommand {
        tools: Some(tools.expect("they are sound")),
        ..command(message)
    }
}

async fn start(test: &TestChat) -> TurnHandle {
    test.chat.start_turn(with_tools("hi")).await.expect("it starts")
}

fn submit(test: &TestChat, handle: &TurnHandle, call_id: &str, output: Value) -> Result<(), String> {
    let submitted = test
        .chat
        .tool_output(&handle.conversation_id, &handle.turn_id, call_id, output);
    submitted.map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_model_continues_after_a_client_answers() {
    let engine = ScriptedEngine::new([calls(&["Let me look. "], &["weather", "now"]), tokens(&["Sunny."])]);
    let test = TestChat::new(engine.clone());
    let handle = start(&test).await;
    test.wait_for(&handle, "tool").await;
    submit(&test, &handle, "call-1-2", json!("noon")).expect("the second call waits");
    submit(&test, &handle, "call-1-1", json!({ "sky": "clear" })).expect("the first call waits");
    let events = test.read(&handle).await;
    assert_eq!(
        summary(&events),
        "user started step-start [Let me look. ] tool tool tool-output tool-output step-finish \
         step-start [Sunny.] step-finish done:stop"
    );
    let ServerEvent::Tool(tool) = &events[4] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (tool.name.as_str(), &tool.payload),
        ("weather", &json!({ "city": "Paris" }))
    );
    assert_eq!(
        requests(&engine)[1],
        "User hi | Assistant(weather{\"city\":\"Paris\"} now{\"city\":\"Paris\"}) Let me look.  | \
         Tool(weather call-1-1) {\"sky\":\"clear\"} | Tool(now call-1-2) noon"
    );
    let turn = test
        .store
        .turn("c", &handle.turn_id)
        .await
        .expect("readable")
        .expect("there");
    assert_eq!(turn.answer_text, "Let me look. Sunny.");
}

#[tokio::test]
async fn the_rounds_are_history_for_the_next_turn() {
    let engine = ScriptedEngine::new([calls(&["A"], &["now"]), tokens(&["B"])]);
    let test = TestChat::new(engine.clone());
    let handle = start(&test).await;
    test.wait_for(&handle, "tool").await;
    submit(&test, &handle, "call-1-1", json!("noon")).expect("it waits");
    test.read(&handle).await;
    let engine = ScriptedEngine::new([]);
    let test = test.restart(engine.clone());
    test.ask("and now?").await;
    assert_eq!(
        requests(&engine),
        ["User hi | Assistant(now{\"city\":\"Paris\"}) A | Tool(now call-1-1) noon | Assistant B | User and now?"]
    );
}

#[tokio::test]
async fn an_output_for_an_unknown_call_is_refused() {
    let test = TestChat::new(ScriptedEngine::new([calls(&[], &["now"])]));
    let handle = start(&test).await;
    test.wait_for(&handle, "tool").await;
    let refused = submit(&test, &handle, "call-9-9", json!(1)).expect_err("there is no such call");
    assert!(refused.contains("no call \"call-9-9\" that waits"), "{refused}");
    submit(&test, &handle, "call-1-1", json!(1)).expect("it waits");
    submit(&test, &handle, "call-1-1", json!(2)).expect_err("it was answered");
    test.read(&handle).await;
    submit(&test, &handle, "call-1-1", json!(2)).expect_err("the turn is over");
}

/// A handler that answers `now` and leaves other tools to clients.
#[derive(Debug)]
struct Clock;

impl ToolHandler for Clock {
    fn call(&self, request: ToolRequest) -> ToolFuture {
        Box::pin(async move { (request.name == "now").then(|| json!("noon")) })
    }
}

#[tokio::test]
async fn the_host_answers_its_own_tools() {
    let engine = ScriptedEngine::new([calls(&[], &["now", "weather"]), tokens(&["B"])]);
    let test = TestChat::with_models(Arc::new(engine).into(), |settings| {
        settings.tool_handler = Some(Arc::new(Clock))
    });
    let handle = start(&test).await;
    test.wait_for(&handle, "tool-output").await;
    submit(&test, &handle, "call-1-2", json!("rain")).expect("a client answers the rest");
    let events = test.read(&handle).await;
    let outputs: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ServerEvent::ToolOutput(output) => Some((output.name.as_str(), output.payload.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(outputs, [("now", json!("noon")), ("weather", json!("rain"))]);
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_answered_with_an_error() {
    let engine = ScriptedEngine::new([calls(&[], &["now"]), tokens(&["never mind"])]);
    let models = Arc::new(engine.clone()).into();
    let test = TestChat::with_models(models, |settings| settings.tool_timeout = Duration::from_millis(20));
    let handle = start(&test).await;
    assert!(summary(&test.read(&handle).await).ends_with("[never mind] step-finish done:stop"));
    let seen = requests(&engine).pop().expect("it was asked again");
    assert!(
        seen.ends_with("Tool(now call-1-1) {\"error\":\"no output within 0.02 s\"}"),
        "{seen}"
    );
}

#[tokio::test]
async fn the_number_of_rounds_is_limited() {
    let engine = ScriptedEngine::new((0..20).map(|_| calls(&["x"], &["now"])));
    let models = Arc::new(engine.clone()).into();
    let test = TestChat::with_models(models, |settings| settings.tool_handler = Some(Arc::new(Clock)));
    let handle = start(&test).await;
    let events = test.read(&handle).await;
    assert!(summary(&events).ends_with("step-start [x] step-finish done:stop"));
    let offered: Vec<_> = engine.requests().iter().map(|request| request.tools.len()).collect();
    assert_eq!(offered, [2, 2, 2, 2, 2, 2, 2, 0], "the last round offers none");
}

#[tokio::test]
async fn a_turn_is_cancelled_while_a_call_waits() {
    let test = TestChat::new(ScriptedEngine::new([calls(&["A"], &["now"])]));
    let handle = start(&test).await;
    test.wait_for(&handle, "tool").await;
    test.chat.cancel("c", &handle.turn_id).await.expect("it runs");
    assert!(summary(&test.read(&handle).await).ends_with("tool done:cancelled"));
    let answer = test
        .store
        .turn("c", &handle.turn_id)
        .await
        .expect("readable")
        .expect("there");
    assert_eq!(answer.answer_text, "A");
}

#[tokio::test]
async fn a_waiting_call_survives_a_restart() {
    for shuts_down in [true, false] {
        let test = TestChat::new(ScriptedEngine::new([calls(&["A"], &["weather", "now"])]));
        let handle = start(&test).await;
        test.wait_for(&handle, "tool").await;
        submit(&test, &handle, "call-1-1", json!("rain")).expect("it waits");
        test.wait_for(&handle, "tool-output").await;
        let engine = ScriptedEngine::new([tokens(&["B"])]);
        let test = if shuts_down {
            test.stop_and_restart(engine.clone()).await
        } else {
            // Unlike a process, the test's runtime lives on: the old turn must not write beside the new one.
            let folder = test.copied();
            test.chat.shutdown(Duration::ZERO).await;
            TestChat::reopen(folder, engine.clone())
        };
        assert_eq!(
            test.chat.recover().await.expect("readable"),
            0,
            "nothing is interrupted"
        );
        submit(&test, &handle, "call-1-1", json!("again")).expect_err("the first call was answered before");
        submit(&test, &handle, "call-1-2", json!("noon")).expect("the second one waits from the start");
        let events = test.read(&handle).await;
        assert_eq!(
            summary(&events),
            "user started step-start [A] tool tool tool-output tool-output step-finish step-start [B] step-finish done:stop"
        );
        assert!(requests(&engine)[0].ends_with("Tool(weather call-1-1) rain | Tool(now call-1-2) noon"));
        let turn = test
            .store
            .turn("c", &handle.turn_id)
            .await
            .expect("readable")
            .expect("there");
        assert_eq!(turn.answer_text, "AB");
    }
}

#[tokio::test]
async fn tools_of_an_agents_file_are_offered_and_validated() {
    let engine = ScriptedEngine::new([]);
    let test = TestChat::new(engine.clone());
    test.write_agent("tester", "tools: [{name: now, description: the time}]");
    test.ask("hi").await;
    assert_eq!(engine.requests()[0].tools[0].description, "the time");
    test.write_agent("tester", "tools: [{name: a b}]");
    super::test_chat::assert_refused(test.chat.start_turn(command("hi")).await, "invalid_request", "\"a b\"");
}

#[tokio::test]
async fn reasoning_is_logged_and_not_part_of_the_answer() {
    let thinks = Script::Thinks("hm".to_owned(), vec!["B".to_owned()]);
    let test = TestChat::new(ScriptedEngine::new([thinks]));
    let handle = test.start("hi").await;
    assert_eq!(
        summary(&test.read(&handle).await),
        "user started reasoning [B] done:stop"
    );
    let turn = test
        .store
        .turn("c", &handle.turn_id)
        .await
        .expect("readable")
        .expect("there");
    assert_eq!(turn.answer_text, "B");
}

#[tokio::test]
async fn the_outputs_of_a_turn_share_a_limit_and_a_short_one_is_always_accepted() {
    let engine = ScriptedEngine::new([calls(&[], &["a", "b", "c", "d"]), tokens(&["B"])]);
    let test = TestChat::new(engine);
    let handle = start(&test).await;
    test.wait_for(&handle, "tool").await;
    let megabyte = json!("x".repeat((1 << 20) - 2));
    submit(&test, &handle, "call-1-1", megabyte.clone()).expect("it fits");
    submit(&test, &handle, "call-1-2", megabyte.clone()).expect("the limit itself fits");
    let submitted = test.chat.tool_output("c", &handle.turn_id, "call-1-3", megabyte);
    let refused = submitted.expect_err("it is too much");
    assert_eq!(refused.code().as_str(), "too_large");
    assert!(
        refused.to_string().contains("3145728 bytes, and 2097152 are allowed"),
        "{refused}"
    );
    for call in ["call-1-3", "call-1-4"] {
        submit(&test, &handle, call, json!({ "error": "it is too long" })).expect("a sentence always fits");
    }
    let events = test.read(&handle).await;
    assert!(summary(&events).ends_with("done:stop"), "{}", summary(&events));
}

/// A handler whose outputs are over a turn's limit.
#[derive(Debug)]
struct Flood;

impl ToolHandler for Flood {
    fn call(&self, _: ToolRequest) -> ToolFuture {
        Box::pin(async { Some(json!("x".repeat(3 << 20))) })
    }
}

#[tokio::test]
async fn a_host_output_that_is_too_large_reaches_the_model_as_an_error() {
    let engine = ScriptedEngine::new([calls(&[], &["now"]), tokens(&["B"])]);
    let test = TestChat::with_models(Arc::new(engine).into(), |settings| {
        settings.tool_handler = Some(Arc::new(Flood))
    });
    let handle = start(&test).await;
    let events = test.read(&handle).await;
    let output = events.iter().find_map(|event| match event {
        ServerEvent::ToolOutput(output) => output.payload["error"].as_str(),
        _ => None,
    });
    assert_eq!(output, Some("the outputs have 3145730 bytes, and 2097152 are allowed"));
    assert!(summary(&events).ends_with("done:stop"), "{}", summary(&events));
}

#[tokio::test]
async fn calls_that_are_too_large_fail_the_turn() {
    let flood = ToolCall {
        id: String::new(),
        name: "now".to_owned(),
        arguments: format!("{{\"x\":\"{}\"}}", "x".repeat(1 << 20)),
    };
    let test = TestChat::new(ScriptedEngine::new([Script::Calls(Vec::new(), vec![flood])]));
    let handle = start(&test).await;
    let events = test.read(&handle).await;
    let Some(ServerEvent::Error(error)) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!(error.code.as_str(), "too_large");
    assert!(
        error.message.contains("1048576 are allowed in a turn"),
        "{}",
        error.message
    );
    assert!(!summary(&events).contains(" tool "), "nothing of it is logged");
}
