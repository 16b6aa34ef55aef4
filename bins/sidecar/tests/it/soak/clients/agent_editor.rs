//! Edits agents while they are served, over HTTP and on disk.

use std::fs;

use serde_json::{Value, json};

use super::super::harness::SoakHarness;
use super::super::random::Random;

/// Writes agents and reads them back: a write that was answered by 200 or 201 is stored, one that failed is not.
pub async fn run(harness: SoakHarness, mut random: Random, steps: u64) {
    for step in 0..steps {
        let id = format!("edited-{}", random.below(3));
        let prompt = format!("Be brief. {}-{step}", harness.round);
        let path = format!("/agents/{id}");
        let Some(before) = harness.http("GET", &path, "").await else {
            return;
        };
        let body = json!({ "name": id, "system_prompt": prompt, "markdown_context": "x".repeat(random.below(9_000) as usize) });
        harness.report.did("agents written over HTTP");
        let Some(put) = harness.http("PUT", &path, &body.to_string()).await else {
            return;
        };
        let Some(after) = harness.http("GET", &path, "").await else {
            return;
        };
        let expected = if put.status < 300 {
            Some(prompt)
        } else {
            prompt_of(&before.body)
        };
        let found = prompt_of(&after.body);
        harness.report.check(
            "an agent is what the last successful write stored",
            found == expected,
            || format!("{path}: {} {}, then {found:?}", put.status, put.body),
        );
        edit_on_disk(&harness, &mut random, step);
        if let Some(listed) = harness.http("GET", "/agents", "").await {
            harness.report.check(
                "agents are listed also beside invalid files",
                listed.status == 200,
                || listed.body.clone(),
            );
        }
    }
}

fn prompt_of(agent: &str) -> Option<String> {
    let agent: Value = serde_json::from_str(agent).unwrap_or_default();
    agent["system_prompt"].as_str().map(str::to_owned)
}

/// Writes a file as people do: good or bad, in place, and sometimes only half of it.
fn edit_on_disk(harness: &SoakHarness, random: &mut Random, step: u64) {
    let whole = format!("---\nname: Hand\nsystem_prompt: Be handy {step}.\n---\n");
    let text = match random.below(3) {
        0 => &whole[..random.below(whole.len() as u64) as usize],
        1 => "---\nname: [\n---\n",
        _ => whole.as_str(),
    };
    let path = harness.folder.join(".agents/hand.md");
    if fs::write(path, text).is_ok() {
        harness.report.did("agents edited on disk");
    }
}
