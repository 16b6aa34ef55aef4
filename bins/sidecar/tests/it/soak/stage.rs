//! Where the actors of one round play: the sidecar's address, and what all of them share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::ledger::Ledger;
use super::report::Report;
use super::shifted_clock::ShiftedClock;
use super::small_disk::SmallDisk;
use crate::client::{Answer, Http, try_http};

/// How long an actor waits for a frame before it counts the sidecar as stuck: longer than any stall that a fire makes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Shared by all actors of a round. Clones are the same stage.
#[derive(Clone)]
pub struct Stage {
    pub authority: String,
    /// The sidecar's folder.
    pub folder: PathBuf,
    pub small_disk: Option<Arc<SmallDisk>>,
    /// The sidecar's.
    pub clock: Arc<ShiftedClock>,
    pub round: u64,
    pub ledger: Arc<Ledger>,
    pub report: Arc<Report>,
    /// Frames that were heard in this round, and failures of the disk among them.
    pub heard: Arc<watch::Sender<Heard>>,
}

/// How far a round is: what fires wait for.
#[derive(Debug, Default, Clone, Copy)]
pub struct Heard {
    pub frames: u64,
    pub disk_faults: u64,
    /// Actors that have played their parts.
    pub actors_gone: usize,
}

impl Stage {
    /// Counts a frame and writes it down.
    pub fn hear(&self, frame: &Value) {
        self.ledger.heard(frame);
        let is_fault = is_disk_fault(frame);
        self.heard.send_modify(|heard| {
            heard.frames += 1;
            heard.disk_faults += u64::from(is_fault);
        });
    }

    /// One request; `None` when the sidecar is gone.
    pub async fn http(&self, method: &str, path: &str, body: &str) -> Option<Answer> {
        let headers = [("content-type", "application/json")];
        self.request(Http {
            method,
            path,
            body,
            headers: &headers,
        })
        .await
    }

    /// One request with headers of its own.
    pub async fn request(&self, request: Http<'_>) -> Option<Answer> {
        let (method, path) = (request.method, request.path);
        let answer = try_http(&self.authority, request).await?;
        if answer.status >= 500 {
            let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
            let is_fault = is_disk_fault(&body);
            let named = ["draining", "model_unavailable", "relay_failed"];
            let is_named = is_fault || named.iter().any(|code| body["code"] == *code);
            self.report.check("a request that fails says why", is_named, || {
                format!("{method} {path}: {} {}", answer.status, answer.body)
            });
            self.heard.send_modify(|heard| heard.disk_faults += u64::from(is_fault));
        }
        Some(answer)
    }
}

/// Whether an error says that the disk took nothing.
pub fn is_disk_fault(error: &Value) -> bool {
    let words = error["message"]
        .as_str()
        .or(error["detail"].as_str())
        .unwrap_or_default();
    let signs = [
        "the disk is full",
        "the system refuses it",
        "read-only",
        "File too large",
        "No space left",
    ];
    error["code"] == "internal" && signs.iter().any(|sign| words.contains(sign))
}
