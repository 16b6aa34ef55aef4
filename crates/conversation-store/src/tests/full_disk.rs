//! A full disk at any point: each page that the database may not grow by, and each write that the system may refuse.
//!
//! One script of turns, published events, imports and a deletion is run repeatedly, each time with room for a little
//! more. What was acknowledged must be there afterwards, what failed must be reported and leave nothing behind, and
//! with room all must continue.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::{begin, check_gapless, end, event, folder, log, new_turn, open, started, token};
use crate::{
    ConversationStore, DiskFault, EndTurn, ImportChecks, ImportTarget, NewTurn, Publish, StoreError, TurnState,
    error::Result,
};

/// Turns of one conversation: enough that a failed one is followed by others.
const ROUNDS: usize = 3;

/// Tokens of one turn.
const TOKENS: u32 = 6;

/// What the store has acknowledged of each log, and each failure.
#[derive(Debug, Default)]
struct Acknowledged {
    events: BTreeMap<String, BTreeMap<u64, String>>,
    faults: Vec<StoreError>,
}

impl Acknowledged {
    fn event(&mut self, conversation: &str, seq: u64, text: &str) {
        let log = self.events.entry(conversation.to_owned()).or_default();
        assert_eq!(
            log.insert(seq, text.to_owned()),
            None,
            "{conversation} {seq} was given twice"
        );
    }

    /// Records a failure, or returns the result.
    fn record<T>(&mut self, outcome: Result<T>) -> Option<T> {
        outcome.map_err(|fault| self.faults.push(fault)).ok()
    }

    fn merge(&mut self, other: Self) {
        self.faults.extend(other.faults);
        for (conversation, log) in other.events {
            for (seq, text) in log {
                self.event(&conversation, seq, &text);
            }
        }
    }
}

/// Runs turns of two conversations at once, with a published event, an import and a deletion.
async fn script(store: &ConversationStore) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        let turn = format!("t{round}");
        let (one, two) = tokio::join!(turn_of(store, "a", &turn), turn_of(store, "b", &turn));
        acknowledged.merge(one);
        acknowledged.merge(two);
        let remark = store.publish(Publish {
            conversation: "b".into(),
            turn_id: None,
            events: vec![event("narration", &text("remark"))],
        });
        let remark = remark.await;
        if let Some(seqs) = acknowledged.record(remark) {
            acknowledged.event("b", seqs.last, &text("remark"));
        }
        let copied = copy(store, "a", &format!("copy-{round}")).await;
        acknowledged.record(copied);
        if round == 1 {
            let deleted = store.delete("copy-0").await;
            let is_there = !matches!(deleted, Err(StoreError::ConversationNotFound { .. }));
            is_there.then(|| acknowledged.record(deleted));
        }
    }
    acknowledged
}

async fn turn_of(store: &ConversationStore, conversation: &str, turn: &str) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    let new = NewTurn {
        event: event("user", &text(turn)),
        agent_json: text("an agent"),
        ..new_turn(conversation, turn)
    };
    let Some(begun) = acknowledged.record(store.begin_turn(new).await) else {
        return acknowledged;
    };
    acknowledged.event(conversation, begun.first_seq, &text(turn));
    let start = store.enqueue(started(conversation, begun.key)).await.expect("queued");
    let (mut outcomes, mut receipts) = (Vec::new(), Vec::new());
    if conversation == "a" {
        // Once the writer has no command of the conversation, tokens take the fast path.
        outcomes.push(start.await);
    } else {
        receipts.push(start);
    }
    for id in 0..TOKENS {
        let token = token(conversation, begun.key, &word(turn, id), &[id]);
        receipts.push(store.enqueue(token).await.expect("queued"));
    }
    for receipt in receipts {
        outcomes.push(receipt.await);
    }
    for (index, outcome) in outcomes.into_iter().enumerate() {
        if let Some(seqs) = acknowledged.record(outcome) {
            let json = format!(r#"{{"token":{:?}}}"#, word(turn, (index as u32).saturating_sub(1)));
            let json = if index == 0 { "{}".to_owned() } else { json };
            acknowledged.event(conversation, seqs.last, &json);
        }
    }
    let state = if acknowledged.faults.is_empty() {
        TurnState::Done
    } else {
        TurnState::Failed
    };
    let ended = store.end_turn(end(conversation, begun.key, state)).await;
    if let Some(seq) = acknowledged.record(ended) {
        acknowledged.event(conversation, seq, "{}");
    }
    acknowledged
}

/// Exports a conversation and imports it under another id.
async fn copy(store: &ConversationStore, from: &str, to: &str) -> Result<()> {
    let mut export = store.export(from);
    let mut import = store.import(
        ImportTarget {
            id: Some(to.to_owned()),
        },
        ImportChecks {
            is_id: |_| true,
            agent: |_, _| Ok(()),
            event: |_, _| Ok(()),
        },
    );
    loop {
        let piece = match export.piece().await {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            // One of its turns couldn't be ended, or it doesn't exist.
            Err(StoreError::Running { .. } | StoreError::ConversationNotFound { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        for line in piece.lines() {
            import.line(line).await?;
        }
    }
    import.finish().await.map(drop)
}

/// Makes a JSON text that is long enough for a few to fill a page.
fn text(words: &str) -> String {
    format!(r#"{{"text":"{}"}}"#, words.repeat(200))
}

fn word(turn: &str, id: u32) -> String {
    format!("{turn}.{id} ").repeat(150)
}

/// Checks that nothing acknowledged is missing, and that every log is whole.
async fn check(store: &ConversationStore, acknowledged: &Acknowledged) {
    for conversation in ["a", "b"] {
        let acknowledged = acknowledged.events.get(conversation);
        if store.conversation(conversation).await.expect("readable").is_none() {
            assert_eq!(acknowledged, None);
            continue;
        }
        let events = log(store, conversation).await;
        check_gapless(&events);
        for (seq, text) in acknowledged.into_iter().flatten() {
            assert_eq!(
                events.get(*seq as usize - 1).map(|event| &event.json),
                Some(text),
                "{conversation} {seq}"
            );
        }
        for turn in store.turns(conversation, 0, 200).await.expect("readable") {
            let own = events
                .iter()
                .filter(|event| event.turn_id.as_deref() == Some(&turn.turn_id));
            let tokens = own.clone().filter(|event| event.kind == "token").count() as u32;
            let answer: String = (0..tokens).map(|id| word(&turn.turn_id, id)).collect();
            assert_eq!(turn.answer_text, answer, "{conversation} {}", turn.turn_id);
            let ends = own
                .filter(|event| matches!(event.kind.as_str(), "done" | "error"))
                .count();
            assert_eq!(ends, usize::from(turn.state.is_terminal()), "{turn:?}");
        }
    }
    for round in 0..ROUNDS {
        let copy = format!("copy-{round}");
        if let Ok(Some(found)) = store.conversation(&copy).await {
            assert_eq!(
                log(store, &copy).await.len() as u64,
                found.last_seq,
                "half an import is there"
            );
        }
    }
}

/// Ends the running turns, and checks that every conversation takes a new turn, as it must once there is room.
async fn continue_all(store: &ConversationStore, turn: &str) {
    for running in store.running().await.expect("readable") {
        let end = EndTurn {
            event: event("error", "{}"),
            ..end(&running.conversation, running.key, TurnState::Interrupted)
        };
        store.end_turn(end).await.expect("there is room");
    }
    for conversation in ["a", "b"] {
        assert!(turn_of(store, conversation, turn).await.faults.is_empty());
    }
    assert_eq!(store.running().await.expect("readable"), []);
}

fn check_file(folder: &Path) {
    let damage = ConversationStore::find_damage(folder).expect("it can be read");
    assert_eq!(damage, [""; 0]);
    let database = Connection::open(folder.join("conversations.sqlite3")).expect("it can be opened");
    let hidden: i64 = database
        .query_row("SELECT count(*) FROM conversation WHERE deleted IN (1, 3)", [], |row| {
            row.get(0)
        })
        .expect("it can be read");
    assert_eq!(hidden, 0, "unfinished imports are removed");
}

/// Makes a data folder with empty tables, which is copied for each run.
fn empty_store() -> tempfile::TempDir {
    let folder = folder();
    drop(open(folder.path()));
    folder
}

fn copy_of(folder: &Path) -> tempfile::TempDir {
    let copy = super::folder();
    let file = "conversations.sqlite3";
    fs::copy(folder.join(file), copy.path().join(file)).expect("it can be copied");
    copy
}

fn pages(folder: &Path) -> u32 {
    let database = Connection::open(folder.join("conversations.sqlite3")).expect("it can be opened");
    database
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .expect("it has pages")
}

#[tokio::test]
async fn the_disk_is_full_at_every_page() {
    let template = empty_store();
    let (first, mut room) = (pages(template.path()), 0);
    loop {
        let folder = copy_of(template.path());
        let limit = format!("PRAGMA max_page_count = {}", first + room);
        let store = ConversationStore::open_tuned(folder.path(), &limit).expect("it opens");
        let acknowledged = script(&store).await;
        for fault in &acknowledged.faults {
            let is_named =
                fault.disk_fault() == Some(DiskFault::Full) || matches!(fault, StoreError::AfterFailure { .. });
            assert!(is_named, "room for {room} pages: {fault}");
        }
        check(&store, &acknowledged).await;
        let unlimited = format!("PRAGMA max_page_count = {}", u32::MAX);
        store.pragma(&unlimited).await.expect("it takes no page");
        continue_all(&store, "with-room").await;
        check(&store, &acknowledged).await;
        drop(store);
        // The rows of a deletion that had no room are removed at the next start.
        let store = open(folder.path());
        check(&store, &acknowledged).await;
        begin(&store, "c", "after-a-start").await;
        drop(store);
        check_file(folder.path());
        if acknowledged.faults.is_empty() {
            assert!(room > 20, "the script fits into {room} pages: that tries nothing");
            return;
        }
        room += 1;
    }
}

/// Each write of the system may be refused: SQLite's WAL, its index, the database itself, the segments.
#[cfg(unix)]
mod refused {
    use std::env;
    use std::process::Command;

    use super::{Acknowledged, check, check_file, continue_all, copy_of, empty_store, script};
    use crate::{ConversationStore, DiskFault, StoreError, tests::open};

    /// The variable with the data folder; a process that has it is the child.
    const FOLDER: &str = "CONVERSATION_STORE_FULL_IN";
    const CHILD: &str = "tests::full_disk::refused::child_runs_the_script_or_else_passes";

    /// Units of 512 bytes from one limit to the next: no multiple of a page, so that writes are refused in the middle,
    /// too.
    const STEP: usize = 45;

    #[tokio::test]
    async fn a_file_may_grow_no_more_at_any_size() {
        let template = empty_store();
        let mut limit = 0;
        loop {
            let folder = copy_of(template.path());
            let acknowledged = run_with(limit, folder.path());
            let store = open(folder.path());
            check(&store, &acknowledged).await;
            continue_all(&store, "with-room").await;
            check(&store, &acknowledged).await;
            drop(store);
            drop(open(folder.path()));
            check_file(folder.path());
            if acknowledged.faults.is_empty() {
                assert!(limit > 20 * STEP, "only limits below {limit} were felt");
                return;
            }
            limit += STEP;
        }
    }

    /// The child process's body: runs the script where files can't grow, and prints what was acknowledged. Passes at
    /// once where it isn't the child.
    #[tokio::test]
    async fn child_runs_the_script_or_else_passes() {
        let Ok(folder) = env::var(FOLDER) else { return };
        let acknowledged = match ConversationStore::open(folder.as_ref()) {
            Ok(store) => script(&store).await,
            Err(error) => {
                let is_named = matches!(error, StoreError::Open { .. } | StoreError::Migrate { .. });
                assert!(is_named, "{error}");
                println!("\nrefused {error}");
                return;
            }
        };
        for fault in &acknowledged.faults {
            let known = [Some(DiskFault::Full), Some(DiskFault::Refused)];
            let is_named = known.contains(&fault.disk_fault()) || matches!(fault, StoreError::AfterFailure { .. });
            assert!(is_named, "{fault}");
            println!("\nfault {fault}");
        }
        let events = serde_json::to_string(&acknowledged.events).expect("maps of text can be written");
        println!("\nacknowledged {events}");
    }

    /// Runs the child with files of at most `limit` × 512 bytes.
    fn run_with(limit: usize, folder: &std::path::Path) -> Acknowledged {
        let output = Command::new("sh")
            // A process that doesn't ignore the signal is ended by it; the sidecar's own start does the same.
            .args([
                "-c",
                r#"trap "" XFSZ; ulimit -f "$1"; shift; exec "$@""#,
                "sh",
                &limit.to_string(),
            ])
            .arg(env::current_exe().expect("a test knows its binary"))
            .args([CHILD, "--exact", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder)
            .output()
            .expect("sh can be started");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "limit {limit}: {printed}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let acknowledged = printed.lines().find_map(|line| line.strip_prefix("acknowledged "));
        let is_fault = |line: &&str| line.starts_with("fault ") || line.starts_with("refused ");
        Acknowledged {
            events: acknowledged.map_or_else(Default::default, |json| serde_json::from_str(json).expect("JSON")),
            // Only their number matters here: the child has checked them.
            faults: printed.lines().filter(is_fault).map(|_| StoreError::Closed).collect(),
        }
    }
}
