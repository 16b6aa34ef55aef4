//! Tests of the narrator, its relays, and the leases.

mod fake;
#[cfg(feature = "http")]
mod http;
mod leases;
mod log;
mod names;
mod narrator;
mod publishing;
mod summaries;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use conversation_store::{ConversationStore, Event};
use protocol::NarratorMessage;
use tempfile::TempDir;

use crate::{Clock, FeedQuery, GrantedLease, LeaseRequest, Leases, Narrator, NarratorSettings, NarratorStores, Relay};

/// 2026-01-01T00:00:00Z.
const NEW_YEAR_MS: i64 = 1_767_225_600_000;

/// A clock that a test advances.
#[derive(Clone)]
struct TestClock {
    forward_s: Arc<AtomicU64>,
    wall_ms: Arc<AtomicI64>,
}

impl TestClock {
    fn new() -> Self {
        Self {
            forward_s: Arc::default(),
            wall_ms: Arc::new(AtomicI64::new(NEW_YEAR_MS)),
        }
    }

    fn clock(&self) -> Clock {
        let (forward_s, wall_ms) = (Arc::clone(&self.forward_s), Arc::clone(&self.wall_ms));
        Clock::new(
            move || Duration::from_secs(forward_s.load(Ordering::SeqCst)),
            move || wall_ms.load(Ordering::SeqCst),
        )
    }

    /// Advances both clocks.
    fn advance(&self, seconds: u64) {
        self.forward_s.fetch_add(seconds, Ordering::SeqCst);
        self.jump(i64::try_from(seconds).expect("a test is short"));
    }

    /// Sets the wall clock forward or back.
    fn jump(&self, seconds: i64) {
        self.wall_ms.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }
}

/// A narrator with its own store, folders and clock.
struct Setup {
    narrator: Narrator,
    store: ConversationStore,
    clock: TestClock,
    folder: TempDir,
}

impl Setup {
    fn new(relay: impl Relay + 'static) -> Self {
        Self::with(relay, |_| {})
    }

    fn with(relay: impl Relay + 'static, change: impl FnOnce(&mut NarratorSettings)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let store = ConversationStore::open(&folder.path().join("data")).expect("a store can be opened");
        let clock = TestClock::new();
        let mut settings = NarratorSettings {
            clock: clock.clock(),
            ..NarratorSettings::default()
        };
        change(&mut settings);
        let stores = NarratorStores {
            conversations: store.clone(),
            log_dir: folder.path().join("logs"),
            summary_dir: folder.path().join("summaries"),
        };
        let leases = Leases::new(clock.clock());
        let narrator = Narrator::open(Arc::new(relay), leases, stores, settings).expect("folders can be made");
        Self {
            narrator,
            store,
            clock,
            folder,
        }
    }

    /// Registers the controller for every workspace.
    fn register(&self) -> GrantedLease {
        register(self.narrator.leases(), None)
    }

    /// Returns the log of a conversation, as `kind json`.
    async fn logged(&self, conversation: &str) -> Vec<String> {
        let events = self
            .store
            .events(conversation, 0, 100)
            .await
            .expect("the log can be read");
        events
            .into_iter()
            .map(|Event { kind, json, .. }| format!("{kind} {json}"))
            .collect()
    }

    /// Returns the feed of workspace `w`, oldest first, as `type source headline: detail`.
    async fn feed(&self) -> Vec<String> {
        let feed = self.narrator.feed(look("w")).await.expect("the feed can be read");
        let shown = feed.events.into_iter().rev().map(|event| {
            let kind = serde_json::to_value(event.kind).expect("a type is a string");
            let source = serde_json::to_value(event.source).expect("a source is a string");
            let (kind, source) = (kind.as_str().unwrap_or_default(), source.as_str().unwrap_or_default());
            format!("{kind} {source} {}: {}", event.headline, event.detail)
        });
        shown.collect()
    }

    /// Returns the types of the lines of workspace `w`, oldest first.
    async fn line_types(&self) -> Vec<String> {
        let raw = self.narrator.raw(look("w")).await.expect("the log can be read");
        let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("a line is JSON");
        let types = raw
            .lines()
            .rev()
            .map(|text| line(text)["type"].as_str().unwrap_or_default().to_owned());
        types.collect()
    }

    fn summary_dir(&self) -> &Path {
        self.folder.path()
    }
}

fn look(workspace: &str) -> FeedQuery {
    FeedQuery {
        workspace: workspace.to_owned(),
        conversation: None,
        limit: 200,
    }
}

/// Registers `controller` for 60 s.
#[track_caller]
fn register(leases: &Leases, workspace: Option<&str>) -> GrantedLease {
    let request = LeaseRequest {
        agent_id: "controller".to_owned(),
        workspace_id: workspace.map(str::to_owned),
        ..LeaseRequest::default()
    };
    leases.register(request).expect("the lease is free")
}

/// Returns a message in workspace `w`, to be narrated in conversation `c`.
fn user_message(message: &str) -> NarratorMessage {
    NarratorMessage {
        workspace_id: Some("w".to_owned()),
        message: Some(message.to_owned()),
        conversation_id: Some("c".to_owned()),
        agent_id: None,
    }
}
