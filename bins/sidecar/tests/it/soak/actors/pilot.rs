//! A controller and a narrator's listener: holds a lease, publishes into the talks of others, and has the narrator say something.

use serde_json::{Value, json};

use super::super::random::Random;
use super::super::stage::Stage;
use crate::client::{Answer, Http};

/// A registration and its token.
struct Lease {
    id: String,
    token: String,
}

/// Publishes, keeps its lease alive, and talks to the narrator.
pub async fn play(stage: Stage, mut random: Random, steps: u64) {
    let Some(lease) = register(&stage).await else { return };
    for step in 0..steps {
        let conversation = format!("{}pilot", super::conversations(stage.round));
        let played = match random.below(4) {
            0 => keep_alive(&stage, &lease).await,
            1 => narrate(&stage, &conversation).await,
            _ => publish(&stage, &lease, &conversation, step).await,
        };
        if played.is_none() {
            return;
        }
    }
}

/// Registers for a minute; leases end with the sidecar's process.
async fn register(stage: &Stage) -> Option<Lease> {
    let body = json!({ "agentId": "pilot", "workspaceId": format!("w-{}", stage.round) });
    let answer = stage.http("POST", "/controllers", &body.to_string()).await?;
    let lease: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let field = |key: &str| lease[key].as_str().map(str::to_owned);
    Some(Lease {
        id: field("registrationId")?,
        token: field("token")?,
    })
}

async fn keep_alive(stage: &Stage, lease: &Lease) -> Option<()> {
    let kept = with_token(stage, "PUT", &format!("/controllers/{}/keepalive", lease.id), lease, "").await?;
    stage
        .report
        .check("a lease is kept alive by who holds it", kept.status == 200, || {
            kept.body.clone()
        });
    Some(())
}

/// What was acknowledged has numbers, and is there under them.
async fn publish(stage: &Stage, lease: &Lease, conversation: &str, step: u64) -> Option<()> {
    let words = format!("{}-{step}", stage.round);
    let event = json!({ "type": "narration", "text": words, "source": "agent" });
    let body = json!({ "conversationId": conversation, "events": [event] }).to_string();
    stage.report.did("events published by a controller");
    let path = format!("/controllers/{}/events", lease.id);
    let published = with_token(stage, "POST", &path, lease, &body).await?;
    if published.status != 200 {
        return Some(());
    }
    // Written down first: should the sidecar go before it is read, the judge looks for it.
    stage.ledger.change(conversation, |_| {});
    let seq = serde_json::from_str::<Value>(&published.body).unwrap_or_default()["firstSeq"].as_u64();
    let after = seq.unwrap_or(1) - 1;
    let path = format!("/conversations/{conversation}/events?after={after}&limit=1");
    let read = stage.http("GET", &path, "").await?;
    let event = serde_json::from_str::<Value>(&read.body).unwrap_or_default()["events"][0].take();
    let is_there = event["seq"].as_u64() == seq && event["text"] == words.as_str();
    stage.report.check(
        "what a controller published is there under its number",
        is_there,
        || format!("{conversation}: {} is {event}", published.body),
    );
    stage.hear(&event);
    Some(())
}

/// Says something to the narrator, who may have nobody to ask.
async fn narrate(stage: &Stage, conversation: &str) -> Option<()> {
    let body = json!({
        "workspaceId": format!("w-{}", stage.round), "conversationId": conversation, "message": "What is going on?",
    });
    stage.report.did("messages to the narrator");
    let answer = stage.http("POST", "/narrator/messages", &body.to_string()).await?;
    if answer.status < 300 {
        stage.ledger.change(conversation, |_| {});
    }
    let is_named =
        answer.status < 300 || serde_json::from_str::<Value>(&answer.body).is_ok_and(|body| body["code"].is_string());
    stage
        .report
        .check("the narrator takes a message or says why not", is_named, || {
            answer.body.clone()
        });
    let feed = format!("/narrator/feed?workspaceId=w-{}", stage.round);
    let feed = stage.http("GET", &feed, "").await?;
    stage
        .report
        .check("the feed can be read", matches!(feed.status, 200 | 500 | 503), || {
            feed.body.clone()
        });
    Some(())
}

/// As [`Stage::http`], by whoever holds the lease.
async fn with_token(stage: &Stage, method: &str, path: &str, lease: &Lease, body: &str) -> Option<Answer> {
    let headers = [
        ("content-type", "application/json"),
        ("x-controller-token", lease.token.as_str()),
    ];
    stage
        .request(Http {
            method,
            path,
            body,
            headers: &headers,
        })
        .await
}
