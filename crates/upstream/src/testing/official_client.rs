//! Compares our engines with the official clients, which read the same recorded answers.

use std::process::Stdio;
use std::sync::Arc;

use engine::{Engine, EngineEvent, FinishReason};
use serde_json::{Value, json};

use super::python::python;
use super::{Outcome, Recorded, read_recorded, recorded};

/// Returns the recorded answers of one kind of server that our engine and the official client read differently: the
/// name of each, and both results.
///
/// # Panics
/// If Python or its packages are missing, or the official client's program fails.
pub async fn disagreements(kind: &str, engine: impl Fn(&str) -> Arc<dyn Engine>) -> Vec<(String, String)> {
    let answers = recorded(kind);
    let results = read_officially(&format!("official_{kind}.py"), &answers);
    let mut differing = Vec::new();
    for (answer, official) in answers.iter().zip(results) {
        let (ours, line) = read_recorded(answer, &engine).await;
        if summary(&ours) != official_summary(&official) {
            differing.push((answer.name.clone(), format!("{line}the official client: {official}")));
        }
    }
    differing
}

/// Reads the answers with the official client; returns one JSON object for each.
fn read_officially(script: &str, answers: &[Recorded]) -> Vec<Value> {
    let output = python(script)
        .args(answers.iter().map(|answer| &answer.path))
        .stderr(Stdio::inherit())
        .output()
        .expect("the Python of the tests can be started");
    assert!(output.status.success(), "{script} failed: {}", output.status);
    let text = String::from_utf8(output.stdout).expect("the program prints ASCII");
    let results: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("the program prints a JSON object a line"))
        .collect();
    assert_eq!(results.len(), answers.len(), "one result for each answer");
    results
}

/// Summarises our result as far as the clients have one: of a rejected answer they keep nothing.
fn summary(outcome: &Outcome) -> Value {
    let EngineEvent::Finished(finished) = &outcome.last else {
        return json!("rejects");
    };
    let calls = outcome.calls.iter().map(|call| {
        let arguments: Value = serde_json::from_str(&call.arguments).expect("arguments are a JSON object");
        json!([call.name, arguments])
    });
    json!({
        "text": outcome.text,
        "reasoning": outcome.reasoning,
        "calls": calls.collect::<Vec<_>>(),
        "cut": finished.reason == FinishReason::Length,
    })
}

/// Summarises the official client's result. OpenAI's has the arguments as they were sent, as text that may be empty.
fn official_summary(result: &Value) -> Value {
    if result["verdict"] != "accepts" {
        return json!("rejects");
    }
    let calls = result["tool_calls"].as_array().into_iter().flatten().map(|call| {
        let arguments = match call["arguments"].as_str() {
            Some("") => json!({}),
            Some(text) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
            None => call["arguments"].clone(),
        };
        json!([call["name"], arguments])
    });
    json!({
        "text": result["text"],
        "reasoning": result["reasoning"],
        "calls": calls.collect::<Vec<_>>(),
        "cut": result["done_reason"] == "length",
    })
}
