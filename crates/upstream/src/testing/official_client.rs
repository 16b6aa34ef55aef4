//! The official clients judge the recorded answers, and our engines are compared with them.

use std::process::Stdio;
use std::sync::Arc;

use engine::{Engine, EngineEvent, FinishReason};
use serde_json::{Value, json};

use super::python::python;
use super::{Outcome, Recorded, recorded, told};

/// The recorded answers of one kind of server of which our engine and the official client think differently: the name, and
/// both opinions.
///
/// # Panics
/// If Python or its packages are missing, or the judge fails.
pub async fn disagreements(kind: &str, engine: impl Fn(&str) -> Arc<dyn Engine>) -> Vec<(String, String)> {
    let answers = recorded(kind);
    let opinions = judge(&format!("judge_{kind}.py"), &answers);
    let mut differing = Vec::new();
    for (answer, opinion) in answers.iter().zip(opinions) {
        let (ours, line) = told(answer, &engine).await;
        if summary(&ours) != comparable(&opinion) {
            differing.push((answer.name.clone(), format!("{line}the official client: {opinion}")));
        }
    }
    differing
}

/// What the official client makes of the answers, one JSON object each.
fn judge(script: &str, answers: &[Recorded]) -> Vec<Value> {
    let output = python(script)
        .args(answers.iter().map(|answer| &answer.path))
        .stderr(Stdio::inherit())
        .output()
        .expect("the Python of the tests can be started");
    assert!(output.status.success(), "{script} failed: {}", output.status);
    let text = String::from_utf8(output.stdout).expect("the judge prints ASCII");
    let opinions: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("the judge prints a JSON object a line"))
        .collect();
    assert_eq!(opinions.len(), answers.len(), "one opinion an answer");
    opinions
}

/// Our reading, as far as the clients have an opinion: of a rejected answer they keep nothing.
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

/// The same of the client's. OpenAI's gives the arguments as the text that came, which is empty for none.
fn comparable(opinion: &Value) -> Value {
    if opinion["verdict"] != "accepts" {
        return json!("rejects");
    }
    let calls = opinion["tool_calls"].as_array().into_iter().flatten().map(|call| {
        let arguments = match call["arguments"].as_str() {
            Some("") => json!({}),
            Some(text) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
            None => call["arguments"].clone(),
        };
        json!([call["name"], arguments])
    });
    json!({
        "text": opinion["text"],
        "reasoning": opinion["reasoning"],
        "calls": calls.collect::<Vec<_>>(),
        "cut": opinion["done_reason"] == "length",
    })
}
