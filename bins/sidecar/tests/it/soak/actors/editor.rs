//! Edits agents while they are served, over HTTP and by hand.

use std::fs;

use serde_json::{Value, json};

use super::super::random::Random;
use super::super::stage::Stage;

/// Writes agents and reads them back: what a 200 or 201 said is there, what an error said is not.
pub async fn play(stage: Stage, mut random: Random, steps: u64) {
    for step in 0..steps {
        let id = format!("edited-{}", random.below(3));
        let prompt = format!("Be brief. {}-{step}", stage.round);
        let path = format!("/agents/{id}");
        let Some(before) = stage.http("GET", &path, "").await else {
            return;
        };
        let body = json!({ "name": id, "system_prompt": prompt, "markdown_context": "x".repeat(random.below(9_000) as usize) });
        stage.report.did("agents written over HTTP");
        let Some(put) = stage.http("PUT", &path, &body.to_string()).await else {
            return;
        };
        let Some(after) = stage.http("GET", &path, "").await else {
            return;
        };
        let expected = if put.status < 300 {
            Some(prompt)
        } else {
            prompt_of(&before.body)
        };
        let found = prompt_of(&after.body);
        stage
            .report
            .check("an agent is what the last success said", found == expected, || {
                format!("{path}: {} {}, then {found:?}", put.status, put.body)
            });
        edit_by_hand(&stage, &mut random, step);
        if let Some(listed) = stage.http("GET", "/agents", "").await {
            stage.report.check(
                "agents are listed whatever the folder holds",
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

/// Files as people write them, good and bad, in place and half a file at a time.
fn edit_by_hand(stage: &Stage, random: &mut Random, step: u64) {
    let whole = format!("---\nname: Hand\nsystem_prompt: Be handy {step}.\n---\n");
    let text = match random.below(3) {
        0 => &whole[..random.below(whole.len() as u64) as usize],
        1 => "---\nname: [\n---\n",
        _ => whole.as_str(),
    };
    let path = stage.folder.join(".agents/hand.md");
    if fs::write(path, text).is_ok() {
        stage.report.did("agents edited by hand");
    }
}
