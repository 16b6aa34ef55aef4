//! The binary is killed while it answers: what was acknowledged is there after the next start.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::client::{HttpRequest, Socket, http, no_gap};
use crate::process::{Sidecar, toy_model, write_brief_agent};

/// What a client has received of a log.
#[derive(Default)]
struct Seen {
    last: u64,
    frames: BTreeMap<u64, Value>,
}

impl Seen {
    #[track_caller]
    fn add(&mut self, frame: Value) {
        if frame["seq"].is_u64() {
            self.last = no_gap(self.last, std::slice::from_ref(&frame));
            self.frames.insert(self.last, frame);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_to_twenty_kills() {
    survive_kills(&toy_model(), 20, 40).await;
}

/// Kills the binary again and again, each time up to `tokens` tokens into an answer, and reads the log with the next
/// one.
pub async fn survive_kills(model: &Path, kills: usize, tokens: u64) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write_brief_agent(folder.path());
    let mut seen = Seen::default();
    // A fixed sequence of kill points (Knuth's multiplicative generator).
    let mut random = 2_463_534_242_u64;
    for kill in 0..kills {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let sidecar = Sidecar::start(folder.path(), model, &[]);
        let mut socket = Socket::open(&sidecar.authority, &[])
            .await
            .expect("the handshake succeeds");
        if kill > 0 {
            resume(&mut socket, &mut seen).await;
        }
        let options = json!({ "temperature": 0, "maxNewTokens": 2 * tokens });
        let turn = format!("turn-{kill}");
        let message = "Tell me a story.";
        socket
            .send(json!({ "agentId": "brief", "conversationId": "c", "turnId": turn, "message": message, "options": options }))
            .await;
        read_until_kill(&mut socket, &mut seen, (random >> 33) % tokens).await;
        drop(sidecar);
    }
    check_log(&Sidecar::start(folder.path(), model, &[]), &seen, kills).await;
}

/// Reads what was missed: the end of the turn that was cut off, unless it had ended.
async fn resume(socket: &mut Socket, seen: &mut Seen) {
    socket
        .send(json!({ "type": "resume", "conversationId": "c", "after": seen.last }))
        .await;
    if seen
        .frames
        .values()
        .next_back()
        .is_some_and(|frame| frame["type"] == "done")
    {
        return;
    }
    loop {
        let frame = socket.recv().await;
        let (kind, code) = (frame["type"].clone(), frame["code"].clone());
        seen.add(frame);
        if kind == "error" {
            assert_eq!(code, "interrupted");
        }
        if kind == "done" || kind == "error" {
            return;
        }
    }
}

/// Reads an answer until `tokens` of it have come, or its end.
async fn read_until_kill(socket: &mut Socket, seen: &mut Seen, tokens: u64) {
    let mut count = 0;
    loop {
        let frame = socket.recv().await;
        let kind = frame["type"].clone();
        assert_ne!(kind, "error", "{frame}");
        seen.add(frame);
        count += u64::from(kind == "token");
        if kind == "done" || (kind == "started" && tokens == 0) || (tokens > 0 && count >= tokens) {
            return;
        }
    }
}

/// Compares the log on disk with everything that was received.
async fn check_log(sidecar: &Sidecar, seen: &Seen, kills: usize) {
    let mut logged = BTreeMap::new();
    let mut after = 0;
    loop {
        let path = format!("/conversations/c/events?after={after}");
        let page = http(
            &sidecar.authority,
            HttpRequest {
                path: &path,
                ..HttpRequest::default()
            },
        )
        .await
        .json();
        let events = page["events"].as_array().expect("a list").clone();
        let Some(last) = events.last() else { break };
        after = last["seq"].as_u64().expect("a seq");
        logged.extend(
            events
                .into_iter()
                .map(|event| (event["seq"].as_u64().expect("a seq"), event)),
        );
    }
    assert!(logged.keys().copied().eq(1..=after), "the log has a gap");
    for (seq, frame) in &seen.frames {
        if frame["firstSeq"].is_null() {
            assert_eq!(logged.get(seq), Some(frame), "event {seq} is not what was seen");
        }
    }
    let conversation = http(
        &sidecar.authority,
        HttpRequest {
            path: "/conversations/c",
            ..HttpRequest::default()
        },
    )
    .await
    .json();
    let turns = conversation["turns"].as_array().expect("a list");
    assert_eq!(turns.len(), kills);
    assert!(
        turns
            .iter()
            .all(|turn| turn["state"] == "done" || turn["state"] == "interrupted"),
        "{turns:?}"
    );
}
