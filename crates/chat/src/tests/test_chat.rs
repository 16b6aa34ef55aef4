//! A chat on temporary folders, and readers of its log, for the tests.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_store::AgentStore;
use conversation_store::{ConversationStore, Event};
use engine::{Engine, EngineEvent, Role, Script, ScriptedEngine, Started, TurnTag};
use protocol::ServerEvent;
use serde_json::Value;
use tempfile::TempDir;

use super::waiting::within;
use crate::{Chat, ChatError, ChatSettings, Models, TurnCommand, TurnHandle, logged_frame};

/// 2026-01-02T03:04:05.678Z.
pub(super) const NOW_MS: i64 = 1_767_323_045_678;

/// A chat with the agent `tester`, on folders that are removed with it.
pub(super) struct TestChat {
    pub chat: Chat,
    pub store: ConversationStore,
    folder: TempDir,
}

impl TestChat {
    pub(super) fn new(engine: impl Engine + 'static) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let test = Self::open(folder, engine);
        test.write_agent("tester", "");
        test
    }

    /// Opens the same folders after the process has ended, with another engine.
    pub(super) fn restart(self, engine: impl Engine + 'static) -> Self {
        let Self { chat, store, folder } = self;
        drop((chat, store));
        Self::open(folder, engine)
    }

    fn open(folder: TempDir, engine: impl Engine + 'static) -> Self {
        Self::open_with(folder, Arc::new(engine), |_| {})
    }

    /// Opens a chat with these models.
    pub(super) fn with_models(models: Models, change: impl FnOnce(&mut ChatSettings)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let test = Self::open_with(folder, models, change);
        test.write_agent("tester", "");
        test
    }

    /// Shuts the chat down in order, then opens the same folders with another engine.
    pub(super) async fn stop_and_restart(self, engine: impl Engine + 'static) -> Self {
        self.chat.shutdown(Duration::ZERO).await;
        self.restart(engine)
    }

    /// Copies the folders as they are on disk now, as after a crash at this instant.
    pub(super) fn copied(&self) -> TempDir {
        let copy = tempfile::tempdir().expect("a temporary folder");
        for name in ["agents", "data"] {
            fs::create_dir(copy.path().join(name)).expect("a folder");
            for file in fs::read_dir(self.folder.path().join(name)).expect("it is there") {
                let file = file.expect("it can be listed");
                fs::copy(file.path(), copy.path().join(name).join(file.file_name())).expect("it can be copied");
            }
        }
        copy
    }

    /// Opens a chat on folders that another process has left.
    pub(super) fn reopen(folder: TempDir, engine: impl Engine + 'static) -> Self {
        Self::open(folder, engine)
    }

    fn open_with(folder: TempDir, models: impl Into<Models>, change: impl FnOnce(&mut ChatSettings)) -> Self {
        let agents = AgentStore::open(&folder.path().join("agents")).expect("an agents folder");
        let store = ConversationStore::open(&folder.path().join("data")).expect("a data folder");
        let mut settings = ChatSettings {
            clock: || NOW_MS,
            ..ChatSettings::default()
        };
        change(&mut settings);
        let chat = Chat::new(agents, store.clone(), models, settings);
        Self { chat, store, folder }
    }

    /// Writes an agent's file, with `options` as a line of YAML.
    pub(super) fn write_agent(&self, id: &str, options: &str) {
        let text = format!("---\nid: {id}\nname: Tester\nsystem_prompt: Be brief.\n{options}\n---\n- a fact\n");
        fs::write(self.agent_file(id), text).expect("an agent's file");
    }

    pub(super) fn agent_file(&self, id: &str) -> PathBuf {
        self.folder.path().join(format!("agents/{id}.md"))
    }

    /// Breaks the store: from now on it can neither read nor write events.
    pub(super) fn break_store(&self) {
        let file = self.folder.path().join("data/conversations.sqlite3");
        let database = rusqlite::Connection::open(file).expect("the store's file");
        let broken = database.execute_batch("ALTER TABLE event RENAME COLUMN part TO lost");
        broken.expect("no write is under way");
    }

    /// Starts a turn in conversation `c`.
    pub(super) async fn start(&self, message: &str) -> TurnHandle {
        self.chat.start_turn(command(message)).await.expect("the turn starts")
    }

    /// Starts a turn and reads its answer to the end.
    pub(super) async fn ask(&self, message: &str) -> Vec<ServerEvent> {
        let handle = self.start(message).await;
        self.read(&handle).await
    }

    /// Returns a turn's events up to its terminal one.
    pub(super) async fn read(&self, handle: &TurnHandle) -> Vec<ServerEvent> {
        let ends = |event: &Event| matches!(event.kind.as_str(), "done" | "error");
        let events = within("the end of a turn", self.read_log(handle, ends));
        let events = events
            .await
            .into_iter()
            .filter(|event| event.turn_id.as_deref() == Some(&handle.turn_id));
        events.map(|event| parsed(&event)).collect()
    }

    /// Follows the log from the start of a turn to the first event of the turn for which `is_last` is true.
    async fn read_log(&self, handle: &TurnHandle, is_last: impl Fn(&Event) -> bool) -> Vec<Event> {
        let conversation = &handle.conversation_id;
        let mut tail = self.store.tail(conversation);
        let mut read: Vec<Event> = Vec::new();
        loop {
            let seen = read.last().map_or(handle.first_seq - 1, |event| event.seq);
            let events = self
                .store
                .events(conversation, seen, 100)
                .await
                .expect("the log can be read");
            if events.is_empty() {
                tail.changed().await.expect("the store is open");
            }
            for event in events {
                let last = event.turn_id.as_deref() == Some(&handle.turn_id) && is_last(&event);
                read.push(event);
                if last {
                    return read;
                }
            }
        }
    }

    /// Waits until a turn has an event of that kind.
    pub(super) async fn wait_for(&self, handle: &TurnHandle, kind: &str) {
        let what = format!("the event {kind:?} of a turn");
        within(&what, self.read_log(handle, |event| event.kind == kind)).await;
    }

    /// Waits until no turn runs or waits.
    pub(super) async fn wait_for_idle(&self) {
        within("all turns to end", self.chat.shared.queues.idle()).await;
    }

    /// Returns the kind and the turn of each event in the log of conversation `c`.
    pub(super) async fn log(&self) -> Vec<(String, String)> {
        let events = self.store.events("c", 0, 1_000).await.expect("the log can be read");
        assert!(
            events.iter().zip(1..).all(|(event, seq)| event.seq == seq),
            "the log has no gap"
        );
        events
            .into_iter()
            .map(|event| (event.kind, event.turn_id.unwrap_or_default()))
            .collect()
    }
}

/// Returns a command for conversation `c`.
pub(super) fn command(message: &str) -> TurnCommand {
    TurnCommand {
        agent_id: "tester".to_owned(),
        conversation_id: Some("c".to_owned()),
        message: message.to_owned(),
        ..TurnCommand::default()
    }
}

/// Returns a command for conversation `c` with a turn id.
pub(super) fn turn_command(turn_id: &str, message: &str) -> TurnCommand {
    TurnCommand {
        turn_id: Some(turn_id.to_owned()),
        ..command(message)
    }
}

pub(super) fn parsed(event: &Event) -> ServerEvent {
    serde_json::from_str(&logged_frame("c", event)).expect("the log holds events")
}

/// Sums up events, one word each: `[text]` for a token, `done:REASON`, `error:CODE`, and the kind for any other.
pub(super) fn summary(events: &[ServerEvent]) -> String {
    let words = events.iter().map(|event| match event {
        ServerEvent::Token(token) => format!("[{}]", token.token),
        ServerEvent::Done(done) => format!("done:{}", word(&serde_json::json!(done.finish_reason))),
        ServerEvent::Error(error) => format!("error:{}", error.code.as_str()),
        other => other.kind().to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn word(value: &Value) -> String {
    value.as_str().expect("a JSON string").to_owned()
}

/// Returns the event with which an engine begins an answer.
pub(super) fn started() -> EngineEvent {
    EngineEvent::Started(Started {
        prompt_tokens: 1,
        cached_tokens: 0,
        sink_tokens: 4,
        window_tokens: 8,
        epoch: TurnTag(1),
    })
}

pub(super) fn tokens(texts: &[&str]) -> Script {
    Script::Tokens(texts.iter().map(|&text| text.to_owned()).collect())
}

/// Sums up the requests that an engine got: `after TAG:` where one goes on from a cache, then its messages.
pub(super) fn requests(engine: &ScriptedEngine) -> Vec<String> {
    let shown = engine.requests().into_iter().map(|request| {
        let from = request
            .continues_from
            .map_or(String::new(), |tag| format!("after {}: ", tag.0));
        let messages = request.messages.iter().map(|message| {
            let ids = message.ids.as_ref().map_or(String::new(), |ids| format!("{ids:?}"));
            let role = match &message.role {
                Role::User => "User".to_owned(),
                Role::Assistant { calls } if calls.is_empty() => "Assistant".to_owned(),
                Role::Assistant { calls } => {
                    let calls: Vec<_> = calls
                        .iter()
                        .map(|call| format!("{}{}", call.name, call.arguments))
                        .collect();
                    format!("Assistant({})", calls.join(" "))
                }
                Role::Tool { name, call_id } => format!("Tool({name} {call_id})"),
            };
            format!("{role} {}{ids}", message.text)
        });
        format!("{from}{}", messages.collect::<Vec<_>>().join(" | "))
    });
    shown.collect()
}

#[track_caller]
pub(super) fn assert_refused(result: Result<TurnHandle, ChatError>, code: &str, message: &str) {
    let error = result.expect_err("the command is refused");
    assert_eq!(error.code().as_str(), code, "{error}");
    assert!(
        error.to_string().contains(message),
        "{error} doesn't contain {message:?}"
    );
}
