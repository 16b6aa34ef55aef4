//! What the clients of one round share: the sidecar's address, the observations, the report and the round's progress.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::observations::Observations;
use super::report::Report;
use super::shifted_clock::ShiftedClock;
use super::small_disk::SmallDisk;
use crate::client::{HttpRequest, HttpResponse, try_http};

/// How long a client waits for a frame before it counts the sidecar as stuck: longer than any stall that a fault
/// causes.
pub const STUCK_TIMEOUT: Duration = Duration::from_secs(60);

/// Shared by all clients of a round; clones share the same state.
#[derive(Clone)]
pub struct SoakHarness {
    pub authority: String,
    /// The sidecar's working folder.
    pub folder: PathBuf,
    pub small_disk: Option<Arc<SmallDisk>>,
    /// The sidecar's clock.
    pub clock: Arc<ShiftedClock>,
    pub round: u64,
    pub observations: Arc<Observations>,
    pub report: Arc<Report>,
    /// How far this round is.
    pub progress: Arc<watch::Sender<Progress>>,
}

/// How far a round is; faults wait for it.
#[derive(Debug, Default, Clone, Copy)]
pub struct Progress {
    pub frames: u64,
    pub disk_errors: u64,
    /// Clients that have done their steps.
    pub clients_done: usize,
}

impl SoakHarness {
    /// Counts a frame and adds it to the observations.
    pub fn record(&self, frame: &Value) {
        self.observations.record(frame);
        let is_disk_error = is_disk_error(frame);
        self.progress.send_modify(|progress| {
            progress.frames += 1;
            progress.disk_errors += u64::from(is_disk_error);
        });
    }

    /// Sends one request; returns `None` if the sidecar is gone.
    pub async fn http(&self, method: &str, path: &str, body: &str) -> Option<HttpResponse> {
        let headers = [("content-type", "application/json")];
        self.request(HttpRequest {
            method,
            path,
            body,
            headers: &headers,
        })
        .await
    }

    /// Sends one request with its own headers; returns `None` if the sidecar is gone.
    pub async fn request(&self, request: HttpRequest<'_>) -> Option<HttpResponse> {
        let (method, path) = (request.method, request.path);
        let answer = try_http(&self.authority, request).await?;
        if answer.status >= 500 {
            let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
            let is_disk_error = is_disk_error(&body);
            let named = ["draining", "model_unavailable", "relay_failed"];
            let is_named = is_disk_error || named.iter().any(|code| body["code"] == *code);
            self.report.check("a failed request says why", is_named, || {
                format!("{method} {path}: {} {}", answer.status, answer.body)
            });
            self.progress
                .send_modify(|progress| progress.disk_errors += u64::from(is_disk_error));
        }
        Some(answer)
    }
}

/// Returns true if an error says that the disk took nothing.
pub fn is_disk_error(error: &Value) -> bool {
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
