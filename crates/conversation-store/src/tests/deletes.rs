//! A deleted conversation is gone at once and for good, and only its id stays.

use rusqlite::Connection;

use super::{answered, begin, end, folder, new_turn, open, started, token, wait_for_removal};
use crate::{ConversationStore, NewTurn, PathLimit, PathStart, StoreError, TurnState};

async fn check_gone(store: &ConversationStore) {
    let limit = PathLimit {
        turns: 9,
        bytes: 9,
        until: None,
    };
    let results = [
        store.conversation("c").await.map(|_| ()),
        store.events("c", 0, 9).await.map(|_| ()),
        store.turn("c", "t").await.map(|_| ()),
        store.turns("c", 0, 9).await.map(|_| ()),
        store.path("c", PathStart::Head, limit).await.map(|_| ()),
        store.begin_turn(new_turn("c", "new")).await.map(|_| ()),
        store.append(token("c", 1, "x", &[])).await.map(|_| ()),
        store.end_turn(end("c", 1, TurnState::Done)).await.map(|_| ()),
        store.set_head("c", "t").await,
        store.delete("c").await,
    ];
    for (index, result) in results.into_iter().enumerate() {
        assert!(matches!(result, Err(StoreError::Gone { .. })), "{index}: {result:?}");
    }
    assert!(
        store
            .list(None, 9)
            .await
            .expect("readable")
            .conversations
            .iter()
            .all(|found| found.id != "c")
    );
}

#[tokio::test]
async fn a_deleted_conversation_is_gone_also_while_a_turn_runs_and_after_a_restart() {
    let folder = folder();
    let store = open(folder.path());
    let missing = store.delete("c").await.expect_err("it is not there yet");
    assert!(matches!(missing, StoreError::ConversationNotFound { .. }));
    let key = begin(&store, "c", "t").await.key;
    store.append(started("c", key)).await.expect("it starts");
    store.delete("c").await.expect("it can be deleted");
    check_gone(&store).await;
    assert_eq!(store.running().await.expect("readable"), []);
    drop(store);
    check_gone(&open(folder.path())).await;
}

#[tokio::test]
async fn its_rows_go_and_those_of_others_stay() {
    let folder = folder();
    let store = open(folder.path());
    let own = NewTurn {
        agent_hash: "own".into(),
        ..new_turn("c", "t")
    };
    let key = store.begin_turn(own).await.expect("it begins").key;
    store.append(started("c", key)).await.expect("it starts");
    let mut receipts = Vec::new();
    for _ in 0..5_000 {
        receipts.push(store.enqueue(token("c", key, "x", &[1])).await.expect("queued"));
    }
    answered(&store, "c", "shared agent").await;
    answered(&store, "kept", "t").await;
    store.delete("c").await.expect("it can be deleted");
    drop(store);
    // The writer may have ended before the last slice; the next start continues.
    let store = open(folder.path());
    begin(&store, "after", "t").await;
    let database = Connection::open(folder.path().join("conversations.sqlite3")).expect("it can be opened");
    let count = |sql: &str| {
        database
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .expect("it can be counted")
    };
    let is_removed = async || count("SELECT count(*) FROM conversation WHERE deleted = 1") == 0;
    wait_for_removal(&store, "a row of the deleted conversation", is_removed).await;
    assert_eq!(count("SELECT count(*) FROM conversation WHERE deleted = 2"), 1);
    assert_eq!(count("SELECT count(*) FROM event WHERE conversation = 1"), 0);
    assert_eq!(count("SELECT count(*) FROM turn WHERE conversation = 1"), 0);
    assert_eq!(store.agent_snapshot("own").await.expect("readable"), None);
    assert!(store.agent_snapshot("hash").await.expect("readable").is_some());
    assert_eq!(super::log(&store, "kept").await.len(), 4);
}
