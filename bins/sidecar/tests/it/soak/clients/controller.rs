//! A controller: holds a lease, publishes events into conversations, and sends messages to the narrator.

use serde_json::{Value, json};

use super::super::harness::SoakHarness;
use super::super::random::Random;
use crate::client::{HttpRequest, HttpResponse};

/// A registration and its token.
struct Lease {
    id: String,
    token: String,
}

/// Publishes, keeps its lease alive, and sends messages to the narrator.
pub async fn run(harness: SoakHarness, mut random: Random, steps: u64) {
    let Some(lease) = register(&harness).await else { return };
    for step in 0..steps {
        let conversation = format!("{}pilot", super::conversations(harness.round));
        let result = match random.below(4) {
            0 => keep_alive(&harness, &lease).await,
            1 => narrate(&harness, &conversation).await,
            _ => publish(&harness, &lease, &conversation, step).await,
        };
        if result.is_none() {
            return;
        }
    }
}

/// Registers for a minute; leases end with the sidecar's process.
async fn register(harness: &SoakHarness) -> Option<Lease> {
    let body = json!({ "agentId": "pilot", "workspaceId": format!("w-{}", harness.round) });
    let answer = harness.http("POST", "/controllers", &body.to_string()).await?;
    let lease: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let field = |key: &str| lease[key].as_str().map(str::to_owned);
    Some(Lease {
        id: field("registrationId")?,
        token: field("token")?,
    })
}

async fn keep_alive(harness: &SoakHarness, lease: &Lease) -> Option<()> {
    let kept = with_token(
        harness,
        "PUT",
        &format!("/controllers/{}/keepalive", lease.id),
        lease,
        "",
    )
    .await?;
    harness
        .report
        .check("a lease is kept alive by its holder", kept.status == 200, || {
            kept.body.clone()
        });
    Some(())
}

/// Publishes an event, and checks that it is stored under the number that was acknowledged.
async fn publish(harness: &SoakHarness, lease: &Lease, conversation: &str, step: u64) -> Option<()> {
    let words = format!("{}-{step}", harness.round);
    let event = json!({ "type": "narration", "text": words, "source": "agent" });
    let body = json!({ "conversationId": conversation, "events": [event] }).to_string();
    harness.report.did("events published by a controller");
    let path = format!("/controllers/{}/events", lease.id);
    let published = with_token(harness, "POST", &path, lease, &body).await?;
    if published.status != 200 {
        return Some(());
    }
    // Added first: should the sidecar go before the event is read, the checker looks for it.
    harness.observations.change(conversation, |_| {});
    let seq = serde_json::from_str::<Value>(&published.body).unwrap_or_default()["firstSeq"].as_u64();
    let after = seq.unwrap_or(1) - 1;
    let path = format!("/conversations/{conversation}/events?after={after}&limit=1");
    let read = harness.http("GET", &path, "").await?;
    let event = serde_json::from_str::<Value>(&read.body).unwrap_or_default()["events"][0].take();
    let is_there = event["seq"].as_u64() == seq && event["text"] == words.as_str();
    harness.report.check(
        "what a controller published is stored under its number",
        is_there,
        || format!("{conversation}: {} is {event}", published.body),
    );
    harness.record(&event);
    Some(())
}

/// Sends a message to the narrator, which may have no agent to ask.
async fn narrate(harness: &SoakHarness, conversation: &str) -> Option<()> {
    let body = json!({
        "workspaceId": format!("w-{}", harness.round), "conversationId": conversation, "message": "What is going on?",
    });
    harness.report.did("messages to the narrator");
    let answer = harness.http("POST", "/narrator/messages", &body.to_string()).await?;
    if answer.status < 300 {
        harness.observations.change(conversation, |_| {});
    }
    let is_named =
        answer.status < 300 || serde_json::from_str::<Value>(&answer.body).is_ok_and(|body| body["code"].is_string());
    harness
        .report
        .check("the narrator accepts a message or says why not", is_named, || {
            answer.body.clone()
        });
    let feed = format!("/narrator/feed?workspaceId=w-{}", harness.round);
    let feed = harness.http("GET", &feed, "").await?;
    harness
        .report
        .check("the feed can be read", matches!(feed.status, 200 | 500 | 503), || {
            feed.body.clone()
        });
    Some(())
}

/// As [`SoakHarness::http`], with the lease's token.
async fn with_token(
    harness: &SoakHarness,
    method: &str,
    path: &str,
    lease: &Lease,
    body: &str,
) -> Option<HttpResponse> {
    let headers = [
        ("content-type", "application/json"),
        ("x-controller-token", lease.token.as_str()),
    ];
    harness
        .request(HttpRequest {
            method,
            path,
            body,
            headers: &headers,
        })
        .await
}
