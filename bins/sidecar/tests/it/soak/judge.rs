//! Looks at everything that is stored, and compares it with what was told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::ledger::{Gone, Told};
use super::stage::{PATIENCE, Stage};
use crate::client::{Heard, Socket};

/// Events that are asked for at once.
const PAGE: usize = 1_000;

/// Ends what runs or waits, such as a call of a tool that nobody will answer, and compares all logs with what was told.
pub async fn judge(stage: &Stage, conversations: &[String]) {
    for conversation in conversations {
        let told = stage.ledger.told(conversation);
        let Some(tree) = tree(stage, conversation, &told).await else {
            continue;
        };
        let tree = settle(stage, conversation, tree, &told).await;
        let log = log(stage, conversation).await;
        stage.ledger.compare(conversation, &log);
        compare_turns(stage, conversation, &tree, &log);
        if let Some(imported) = &told.imported {
            let exported = stage
                .http("GET", &format!("/conversations/{conversation}/export"), "")
                .await;
            let body = exported.as_ref().and_then(|answer| answer.body.split_once('\n'));
            let is_whole = body.is_some_and(|(_, lines)| lines == imported);
            stage
                .report
                .check("an import is there wholly or not at all", is_whole, || {
                    conversation.clone()
                });
        }
    }
}

/// All turns of a conversation; `None` of one that isn't there, which may be right.
async fn tree(stage: &Stage, conversation: &str, told: &Told) -> Option<Vec<Value>> {
    let (mut turns, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/conversations/{conversation}?limit=200{cursor}");
        let answer = stage.http("GET", &path, "").await;
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        let may_be_missing = stage.ledger.last_seq(conversation) == 0;
        let is_right = match (status, told.gone) {
            (200, Gone::No | Gone::Perhaps) | (410, Gone::Perhaps | Gone::Yes) => true,
            (404, Gone::No | Gone::Perhaps) => may_be_missing,
            _ => false,
        };
        stage
            .report
            .check("conversations are there, or deleted, as was told", is_right, || {
                format!("{conversation}: {status}, {:?}", told.gone)
            });
        let page: Value = serde_json::from_str(&answer.filter(|_| status == 200)?.body).ok()?;
        turns.extend(page["turns"].as_array().cloned().unwrap_or_default());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Some(turns),
        }
    }
}

async fn log(stage: &Stage, conversation: &str) -> Vec<Value> {
    let mut log: Vec<Value> = Vec::new();
    loop {
        let after = log.last().and_then(|event| event["seq"].as_u64()).unwrap_or_default();
        let path = format!("/conversations/{conversation}/events?after={after}&limit={PAGE}");
        let answer = stage.http("GET", &path, "").await;
        let page: Value = answer
            .and_then(|answer| serde_json::from_str(&answer.body).ok())
            .unwrap_or_default();
        match page["events"].as_array() {
            Some(events) if !events.is_empty() => log.extend(events.iter().cloned()),
            Some(_) => return log,
            None => {
                stage
                    .report
                    .check("logs can be read", false, || format!("{path}: {page}"));
                return log;
            }
        }
    }
}

fn is_live(turn: &Value) -> bool {
    matches!(turn["state"].as_str(), Some("pending" | "streaming"))
}

/// Cancels what runs or waits, and waits for its end; the tree then.
async fn settle(stage: &Stage, conversation: &str, turns: Vec<Value>, told: &Told) -> Vec<Value> {
    let live: Vec<&Value> = turns.iter().filter(|turn| is_live(turn)).collect();
    let Some(first) = live.iter().filter_map(|turn| turn["firstSeq"].as_u64()).min() else {
        return turns;
    };
    let mut open: BTreeSet<String> = BTreeSet::new();
    for turn in live {
        let id = turn["turnId"].as_str().unwrap_or_default();
        stage
            .http("POST", &format!("/conversations/{conversation}/turns/{id}/cancel"), "")
            .await;
        open.insert(id.to_owned());
    }
    let Some(mut socket) = Socket::try_open(&stage.authority).await else {
        return turns;
    };
    socket
        .try_say(&json!({ "type": "resume", "conversationId": conversation, "after": first - 1 }))
        .await;
    while !open.is_empty() {
        let Ok(Heard::Frame(frame)) = tokio::time::timeout(PATIENCE, socket.next()).await else {
            break;
        };
        if frame["seq"].is_u64() && matches!(frame["type"].as_str(), Some("done" | "error")) {
            open.remove(frame["turnId"].as_str().unwrap_or_default());
        }
    }
    stage.report.check("no turn stays open", open.is_empty(), || {
        format!("{conversation}: {open:?}")
    });
    tree(stage, conversation, told).await.unwrap_or_default()
}

/// What the log says of a turn.
#[derive(Default)]
struct Logged {
    text: String,
    users: usize,
    ends: Vec<&'static str>,
}

/// Each turn has one beginning and one end in the log, and the text and state that the log says.
fn compare_turns(stage: &Stage, conversation: &str, tree: &[Value], log: &[Value]) {
    let mut logged: BTreeMap<&str, Logged> = BTreeMap::new();
    for event in log {
        let Some(turn) = event["turnId"].as_str() else { continue };
        let of_turn = logged.entry(turn).or_default();
        match event["type"].as_str().unwrap_or_default() {
            "user" => of_turn.users += 1,
            "token" => of_turn.text.push_str(event["token"].as_str().unwrap_or_default()),
            "done" if event["finishReason"] == "cancelled" => of_turn.ends.push("cancelled"),
            "done" => of_turn.ends.push("done"),
            "error" if event["code"] == "interrupted" => of_turn.ends.push("interrupted"),
            "error" => of_turn.ends.push("failed"),
            _ => {}
        }
    }
    let report = &stage.report;
    report.check(
        "every turn of the log is in the tree",
        logged.len() == tree.len(),
        || format!("{conversation}: {} and {}", logged.len(), tree.len()),
    );
    for turn in tree {
        let id = turn["turnId"].as_str().unwrap_or_default();
        let of_turn = logged.remove(id).unwrap_or_default();
        let state = turn["state"].as_str().unwrap_or_default();
        let is_whole = of_turn.users == 1 && of_turn.ends == [state];
        report.check(
            "a turn has one beginning, and one end as its state says",
            is_whole,
            || {
                format!(
                    "{conversation} {id} is {state}, with {} beginnings and ends {:?}",
                    of_turn.users, of_turn.ends
                )
            },
        );
        report.check(
            "an answer is its tokens, also half of one",
            turn["answerText"] == of_turn.text,
            || format!("{conversation} {id}: {} and {:?}", turn["answerText"], of_turn.text),
        );
        match state {
            "done" => report.did("turns looked at: done"),
            "cancelled" => report.did("turns looked at: cancelled"),
            "interrupted" => report.did("turns looked at: interrupted"),
            _ => report.did("turns looked at: failed"),
        }
    }
}
