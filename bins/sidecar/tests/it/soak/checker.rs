//! Reads everything that is stored, and compares it with what the clients observed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::harness::{STUCK_TIMEOUT, SoakHarness};
use super::observations::{Deletion, Observed};
use crate::client::{Received, Socket};

/// Events that are requested at once.
const PAGE: usize = 1_000;

/// Cancels what runs or waits (such as a tool call that no client will answer), and compares all logs with what was
/// observed.
pub async fn check(harness: &SoakHarness, conversations: &[String]) {
    for conversation in conversations {
        let observed = harness.observations.observed(conversation);
        let Some(tree) = tree(harness, conversation, &observed).await else {
            continue;
        };
        let tree = settle(harness, conversation, tree, &observed).await;
        let log = log(harness, conversation).await;
        harness.observations.compare(conversation, &log);
        compare_turns(harness, conversation, &tree, &log);
        if let Some(imported) = &observed.imported {
            let exported = harness
                .http("GET", &format!("/conversations/{conversation}/export"), "")
                .await;
            let body = exported.as_ref().and_then(|answer| answer.body.split_once('\n'));
            let is_whole = body.is_some_and(|(_, lines)| lines == imported);
            harness
                .report
                .check("an import is stored completely or not at all", is_whole, || {
                    conversation.clone()
                });
        }
    }
}

/// Reads all turns of a conversation; returns `None` if it doesn't exist, which may be right.
async fn tree(harness: &SoakHarness, conversation: &str, observed: &Observed) -> Option<Vec<Value>> {
    let (mut turns, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/conversations/{conversation}?limit=200{cursor}");
        let answer = harness.http("GET", &path, "").await;
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        let may_be_missing = harness.observations.last_seq(conversation) == 0;
        let is_right = match (status, observed.deletion) {
            (200, Deletion::No | Deletion::Unconfirmed) | (410, Deletion::Unconfirmed | Deletion::Confirmed) => true,
            (404, Deletion::No | Deletion::Unconfirmed) => may_be_missing,
            _ => false,
        };
        harness.report.check(
            "conversations exist, or are deleted, as was acknowledged",
            is_right,
            || format!("{conversation}: {status}, {:?}", observed.deletion),
        );
        let page: Value = serde_json::from_str(&answer.filter(|_| status == 200)?.body).ok()?;
        turns.extend(page["turns"].as_array().cloned().unwrap_or_default());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Some(turns),
        }
    }
}

async fn log(harness: &SoakHarness, conversation: &str) -> Vec<Value> {
    let mut log: Vec<Value> = Vec::new();
    loop {
        let after = log.last().and_then(|event| event["seq"].as_u64()).unwrap_or_default();
        let path = format!("/conversations/{conversation}/events?after={after}&limit={PAGE}");
        let answer = harness.http("GET", &path, "").await;
        let page: Value = answer
            .and_then(|answer| serde_json::from_str(&answer.body).ok())
            .unwrap_or_default();
        match page["events"].as_array() {
            Some(events) if !events.is_empty() => log.extend(events.iter().cloned()),
            Some(_) => return log,
            None => {
                harness
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

/// Cancels what runs or waits and waits for its end; returns the turns as they are then.
async fn settle(harness: &SoakHarness, conversation: &str, turns: Vec<Value>, observed: &Observed) -> Vec<Value> {
    let live: Vec<&Value> = turns.iter().filter(|turn| is_live(turn)).collect();
    let Some(first) = live.iter().filter_map(|turn| turn["firstSeq"].as_u64()).min() else {
        return turns;
    };
    let mut open: BTreeSet<String> = BTreeSet::new();
    for turn in live {
        let id = turn["turnId"].as_str().unwrap_or_default();
        harness
            .http("POST", &format!("/conversations/{conversation}/turns/{id}/cancel"), "")
            .await;
        open.insert(id.to_owned());
    }
    let Some(mut socket) = Socket::try_open(&harness.authority).await else {
        return turns;
    };
    socket
        .try_send(&json!({ "type": "resume", "conversationId": conversation, "after": first - 1 }))
        .await;
    while !open.is_empty() {
        let Ok(Received::Frame(frame)) = tokio::time::timeout(STUCK_TIMEOUT, socket.next()).await else {
            break;
        };
        if frame["seq"].is_u64() && matches!(frame["type"].as_str(), Some("done" | "error")) {
            open.remove(frame["turnId"].as_str().unwrap_or_default());
        }
    }
    harness.report.check("every turn ends", open.is_empty(), || {
        format!("{conversation}: {open:?}")
    });
    tree(harness, conversation, observed).await.unwrap_or_default()
}

/// What the log holds of one turn.
#[derive(Default)]
struct Logged {
    text: String,
    users: usize,
    ends: Vec<&'static str>,
}

/// Checks that each turn has one start and one end in the log, and the text and state that the log says.
fn compare_turns(harness: &SoakHarness, conversation: &str, tree: &[Value], log: &[Value]) {
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
    let report = &harness.report;
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
            "an answer is its tokens, also a partial one",
            turn["answerText"] == of_turn.text,
            || format!("{conversation} {id}: {} and {:?}", turn["answerText"], of_turn.text),
        );
        match state {
            "done" => report.did("turns checked: done"),
            "cancelled" => report.did("turns checked: cancelled"),
            "interrupted" => report.did("turns checked: interrupted"),
            _ => report.did("turns checked: failed"),
        }
    }
}
