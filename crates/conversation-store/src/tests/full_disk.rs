//! A disk that is full at any instant: each page that a file may not grow by, and each write that the system may refuse.
//!
//! One script of turns, published events, an import and a deletion is run again and again, each time with room for a little more. Whatever
//! was acknowledged must be there afterwards, whatever failed must be named and leave nothing behind, and with room again all goes on.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::{begin, check_gapless, end, event, folder, log, new_turn, open, started, token};
use crate::{
    ConversationStore, DiskFault, EndTurn, ImportChecks, ImportTo, NewTurn, Publish, StoreError, TurnState,
    error::Result,
    writer::{Apply, Batch},
};

/// Turns of one conversation: enough that a failed one is followed by others.
const ROUNDS: usize = 3;

/// Tokens of one turn.
const TOKENS: u32 = 6;

/// What the script was told of each log, and each failure, in words.
#[derive(Debug, Default)]
struct Told {
    events: BTreeMap<String, BTreeMap<u64, String>>,
    faults: Vec<StoreError>,
}

impl Told {
    fn event(&mut self, conversation: &str, seq: u64, text: &str) {
        let log = self.events.entry(conversation.to_owned()).or_default();
        assert_eq!(
            log.insert(seq, text.to_owned()),
            None,
            "{conversation} {seq} was given twice"
        );
    }

    /// Notes a failure; what was given otherwise.
    fn heed<T>(&mut self, outcome: Result<T>) -> Option<T> {
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

/// Sets how many pages the file may have, in the writer's own connection.
struct Room(u32);

impl Apply for Room {
    type Output = ();

    fn apply(&self, batch: &mut Batch<'_>) -> Result<()> {
        let pragma = format!("PRAGMA max_page_count = {}", self.0);
        Ok(batch.db.execute_batch(&pragma)?)
    }

    fn is_durable(&self) -> bool {
        false
    }
}

/// Turns of two conversations at once, an import, a remark, a deletion.
async fn script(store: &ConversationStore) -> Told {
    let mut told = Told::default();
    for round in 0..ROUNDS {
        let turn = format!("t{round}");
        let (one, two) = tokio::join!(turn_of(store, "a", &turn), turn_of(store, "b", &turn));
        told.merge(one);
        told.merge(two);
        let remark = store.publish(Publish {
            conversation: "b".into(),
            turn_id: None,
            events: vec![event("narration", &text("remark"))],
        });
        let remark = remark.await;
        if let Some(seqs) = told.heed(remark) {
            told.event("b", seqs.last, &text("remark"));
        }
        let copied = copy(store, "a", &format!("copy-{round}")).await;
        told.heed(copied);
        if round == 1 {
            let deleted = store.delete("copy-0").await;
            let is_there = !matches!(deleted, Err(StoreError::ConversationNotFound { .. }));
            is_there.then(|| told.heed(deleted));
        }
    }
    told
}

async fn turn_of(store: &ConversationStore, conversation: &str, turn: &str) -> Told {
    let mut told = Told::default();
    let new = NewTurn {
        event: event("user", &text(turn)),
        agent_json: text("an agent"),
        ..new_turn(conversation, turn)
    };
    let Some(begun) = told.heed(store.begin_turn(new).await) else {
        return told;
    };
    told.event(conversation, begun.first_seq, &text(turn));
    let start = store.enqueue(started(conversation, begun.key)).await.expect("queued");
    let (mut outcomes, mut receipts) = (Vec::new(), Vec::new());
    if conversation == "a" {
        // With nothing of it on the way, tokens take the short way.
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
        if let Some(seqs) = told.heed(outcome) {
            let json = format!(r#"{{"token":{:?}}}"#, word(turn, (index as u32).saturating_sub(1)));
            let json = if index == 0 { "{}".to_owned() } else { json };
            told.event(conversation, seqs.last, &json);
        }
    }
    let state = if told.faults.is_empty() {
        TurnState::Done
    } else {
        TurnState::Failed
    };
    let ended = store.end_turn(end(conversation, begun.key, state)).await;
    if let Some(seq) = told.heed(ended) {
        told.event(conversation, seq, "{}");
    }
    told
}

/// Exports a conversation and imports it under another id.
async fn copy(store: &ConversationStore, from: &str, to: &str) -> Result<()> {
    let mut export = store.export(from);
    let mut import = store.import(
        ImportTo {
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
            // A turn of it couldn't be ended, or there is none.
            Err(StoreError::Running { .. } | StoreError::ConversationNotFound { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        for line in piece.lines() {
            import.line(line).await?;
        }
    }
    import.finish().await.map(drop)
}

/// Long enough that a few fill a page.
fn text(words: &str) -> String {
    format!(r#"{{"text":"{}"}}"#, words.repeat(200))
}

fn word(turn: &str, id: u32) -> String {
    format!("{turn}.{id} ").repeat(150)
}

/// Nothing that was acknowledged is missing, and every log is whole.
async fn check(store: &ConversationStore, told: &Told) {
    for conversation in ["a", "b"] {
        let acknowledged = told.events.get(conversation);
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

/// What ran is ended, and every conversation takes a new turn: as it must be once there is room.
async fn go_on(store: &ConversationStore, turn: &str) {
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
    assert_eq!(hidden, 0, "what came to nothing is removed");
}

/// A data folder with tables and nothing in them, copied for each run.
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
        let told = script(&store).await;
        for fault in &told.faults {
            let is_named =
                fault.disk_fault() == Some(DiskFault::Full) || matches!(fault, StoreError::AfterFailure { .. });
            assert!(is_named, "room for {room} pages: {fault}");
        }
        check(&store, &told).await;
        store.run(Room(u32::MAX)).await.expect("it takes no page");
        go_on(&store, "with-room").await;
        check(&store, &told).await;
        drop(store);
        // The rows of a deletion that had no room are removed at the next start.
        let store = open(folder.path());
        check(&store, &told).await;
        begin(&store, "c", "after-a-start").await;
        drop(store);
        check_file(folder.path());
        if told.faults.is_empty() {
            assert!(room > 20, "the script fits into {room} pages: that tries nothing");
            return;
        }
        room += 1;
    }
}

/// Every write of the system's may be refused: the log of the database, its index, the database itself.
#[cfg(unix)]
mod refused {
    use std::env;
    use std::process::Command;

    use super::{Told, check, check_file, copy_of, empty_store, go_on, script};
    use crate::{ConversationStore, DiskFault, StoreError, tests::open};

    /// Names the data folder to the child, and makes it one.
    const FOLDER: &str = "CONVERSATION_STORE_FULL_IN";
    const CHILD: &str = "tests::full_disk::refused::child";

    /// Units of 512 bytes from one limit to the next: no multiple of a page, so that writes are refused in their midst too.
    const STEP: usize = 45;

    #[tokio::test]
    async fn a_file_may_grow_no_more_at_any_size() {
        let template = empty_store();
        let mut limit = 0;
        loop {
            let folder = copy_of(template.path());
            let told = run_with(limit, folder.path());
            let store = open(folder.path());
            check(&store, &told).await;
            go_on(&store, "with-room").await;
            check(&store, &told).await;
            drop(store);
            drop(open(folder.path()));
            check_file(folder.path());
            if told.faults.is_empty() {
                assert!(limit > 20 * STEP, "only limits below {limit} were felt");
                return;
            }
            limit += STEP;
        }
    }

    /// Not a test by itself: runs the script where files can't grow, and says what it was told.
    #[tokio::test]
    async fn child() {
        let Ok(folder) = env::var(FOLDER) else { return };
        let told = match ConversationStore::open(folder.as_ref()) {
            Ok(store) => script(&store).await,
            Err(error) => {
                let is_named = matches!(error, StoreError::Open { .. } | StoreError::Migrate { .. });
                assert!(is_named, "{error}");
                println!("\nrefused {error}");
                return;
            }
        };
        for fault in &told.faults {
            let known = [Some(DiskFault::Full), Some(DiskFault::Refused)];
            let is_named = known.contains(&fault.disk_fault()) || matches!(fault, StoreError::AfterFailure { .. });
            assert!(is_named, "{fault}");
            println!("\nfault {fault}");
        }
        let events = serde_json::to_string(&told.events).expect("maps of text can be written");
        println!("\ntold {events}");
    }

    /// Runs the child with files of at most `limit` × 512 bytes.
    fn run_with(limit: usize, folder: &std::path::Path) -> Told {
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
        let told = printed.lines().find_map(|line| line.strip_prefix("told "));
        let is_fault = |line: &&str| line.starts_with("fault ") || line.starts_with("refused ");
        Told {
            events: told.map_or_else(Default::default, |json| serde_json::from_str(json).expect("JSON")),
            // Only how many there were is of interest here: the child has looked at them.
            faults: printed.lines().filter(is_fault).map(|_| StoreError::Closed).collect(),
        }
    }
}
