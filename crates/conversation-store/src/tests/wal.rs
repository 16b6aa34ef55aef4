//! The fast path of tokens: readers see them at once, and they are flushed before their conversation's next command.

mod crashes;

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::{append, begin, check_gapless, end, event, folder, log, open, started, token};
use crate::{AppendEvents, ConversationStore, PathLimit, PathStart, Publish, StoreError, TurnKey, TurnState};

/// Begins a turn that streams.
async fn streaming(store: &ConversationStore, conversation: &str, turn_id: &str) -> TurnKey {
    let key = begin(store, conversation, turn_id).await.key;
    store.append(started(conversation, key)).await.expect("it starts");
    key
}

async fn append_tokens(store: &ConversationStore, conversation: &str, turn: TurnKey, words: &[&str]) {
    for (id, word) in (1..).zip(words) {
        let token = token(conversation, turn, word, &[id]);
        store.append(token).await.expect("it streams");
    }
}

/// Counts the rows of events in the database itself.
fn rows(folder: &Path) -> u32 {
    let db = Connection::open(folder.join("conversations.sqlite3")).expect("it can be opened");
    db.query_row("SELECT count(*) FROM event", [], |row| row.get(0))
        .expect("it can be read")
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("it is a folder");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .collect()
}

#[tokio::test]
async fn tokens_are_readable_before_they_are_flushed() {
    let folder = folder();
    let store = open(folder.path());
    let key = streaming(&store, "c", "t").await;
    let tail = store.tail("c");
    append_tokens(&store, "c", key, &["one ", "two ", "three"]).await;
    assert_eq!(rows(folder.path()), 2);

    let events = log(&store, "c").await;
    check_gapless(&events);
    assert_eq!(events.len(), 5);
    assert_eq!(events[4].turn_id.as_deref(), Some("t"));
    assert_eq!(store.events("c", 1, 2).await.expect("readable"), events[1..3]);
    assert_eq!(store.events("c", 3, 9).await.expect("readable"), events[3..]);
    assert_eq!(store.read_tail(&tail, 2, 9).await.expect("readable"), events[2..]);
    assert_eq!(tail.last_seq(), Some(5));
    let turn = store.turn("c", "t").await.expect("readable").expect("there");
    assert_eq!(
        (turn.answer_text.as_str(), turn.answer_ids.as_deref()),
        ("one two three", Some(&[1, 2, 3][..]))
    );
    let limit = PathLimit {
        turns: 9,
        bytes: 9_999,
        until: None,
    };
    let path = store.path("c", PathStart::Head, limit).await.expect("readable");
    assert_eq!(path, std::slice::from_ref(&turn));
    assert_eq!(store.turns("c", 0, 9).await.expect("readable"), path);
    assert_eq!(store.running().await.expect("readable"), path);
    let found = store.conversation("c").await.expect("readable").expect("there");
    assert_eq!(found.last_seq, 5);
    assert_eq!(store.list(None, 9).await.expect("readable").conversations, [found]);

    store.end_turn(end("c", key, TurnState::Done)).await.expect("it ends");
    assert_eq!(rows(folder.path()), 6);
    assert_eq!(log(&store, "c").await[..5], events);
    let ended = store.turn("c", "t").await.expect("readable").expect("there");
    assert_eq!(
        (ended.answer_text, ended.answer_ids),
        (turn.answer_text, turn.answer_ids)
    );
    drop(store);
    assert!(segments(folder.path()).is_empty());
}

#[tokio::test]
async fn some_tens_are_flushed_together_and_the_rest_when_the_store_closes() {
    let folder = folder();
    let store = open(folder.path());
    let key = streaming(&store, "c", "t").await;
    let words: Vec<_> = (0..200).map(|_| "x").collect();
    append_tokens(&store, "c", key, &words).await;
    // The writer has run the flushes that were requested before this.
    store.set_head("c", "t").await.expect("it is there");
    assert_eq!(rows(folder.path()), 202);
    append_tokens(&store, "c", key, &["y"]).await;
    assert_eq!(rows(folder.path()), 202);
    drop(store);
    assert_eq!(rows(folder.path()), 203);
    assert_eq!(log(&open(folder.path()), "c").await.len(), 203);
}

#[tokio::test]
async fn other_commands_come_after_earlier_tokens() {
    let folder = folder();
    let store = open(folder.path());
    let key = streaming(&store, "c", "t").await;
    append_tokens(&store, "c", key, &["a"]).await;
    let remark = |turn_id: Option<&str>| Publish {
        conversation: "c".into(),
        turn_id: turn_id.map(str::to_owned),
        events: vec![event("narration", "{}")],
    };
    let seqs = store.publish(remark(Some("t"))).await.expect("it is published");
    assert_eq!(seqs.first, 4);
    append_tokens(&store, "c", key, &["b"]).await;
    let more = AppendEvents {
        rounds_json: Some("[]".into()),
        ..append("c", key, vec![event("tool", "{}"), event("tool", "{}")])
    };
    assert_eq!(store.append(more).await.expect("it is appended").last, 7);
    let two = append("c", key, vec![event("evicted", "{}"), event("evicted", "{}")]);
    assert_eq!(store.append(two).await.expect("it is appended").last, 9);
    let events = log(&store, "c").await;
    check_gapless(&events);
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "user",
            "started",
            "token",
            "narration",
            "token",
            "tool",
            "tool",
            "evicted",
            "evicted"
        ]
    );

    store.delete("c").await.expect("it can be deleted");
    let late = store.append(token("c", key, "late", &[])).await;
    assert!(matches!(late, Err(StoreError::Gone { .. })), "{late:?}");
    drop(store);
    assert!(segments(folder.path()).is_empty());
}

#[tokio::test]
async fn a_turn_with_a_failed_append_takes_no_more() {
    let folder = folder();
    let store = open(folder.path());
    let key = streaming(&store, "c", "t").await;
    append_tokens(&store, "c", key, &["a"]).await;
    let large = "x".repeat(9 << 20);
    let refused = store.append(token("c", key, &large, &[])).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
    let after = store.append(token("c", key, "b", &[])).await;
    assert!(matches!(after, Err(StoreError::AfterFailure { .. })), "{after:?}");
    store.end_turn(end("c", key, TurnState::Failed)).await.expect("it ends");
    let late = store.append(token("c", key, "c", &[])).await;
    assert!(matches!(late, Err(StoreError::NotWritable { .. })), "{late:?}");
    assert_eq!(log(&store, "c").await.len(), 4);
}

#[tokio::test]
async fn an_append_without_an_event_is_refused_on_either_path() {
    let folder = folder();
    let store = open(folder.path());
    let key = streaming(&store, "c", "t").await;
    let none = store.append(append("c", key, vec![])).await;
    assert!(matches!(none, Err(StoreError::NoEvents { .. })), "{none:?}");
    append_tokens(&store, "c", key, &["a"]).await;
    assert_eq!(log(&store, "c").await.len(), 3);
}

#[tokio::test]
async fn a_full_segment_is_rotated_and_removed() {
    let folder = folder();
    let store = open(folder.path());
    let turns = [
        ("fast", streaming(&store, "fast", "t").await),
        ("slow", streaming(&store, "slow", "t").await),
    ];
    let large = "x".repeat(8_000);
    append_tokens(&store, "slow", turns[1].1, &["a"]).await;
    let mut most = 0;
    for _ in 0..1_000 {
        append_tokens(&store, "fast", turns[0].1, &[&large]).await;
        most = most.max(segments(folder.path()).len());
    }
    assert!(most >= 2, "the journal was never long enough");
    for (conversation, key) in turns {
        store
            .end_turn(end(conversation, key, TurnState::Done))
            .await
            .expect("it ends");
    }
    // Only the current one is left.
    assert_eq!(segments(folder.path()).len(), 1);
    assert_eq!(log(&store, "fast").await.len(), 1_003);
    assert_eq!(log(&store, "slow").await.len(), 4);
}
