//! A full disk, a read-only or damaged file, a lock of another process: each is reported, and fails no more than it
//! must.

use std::{fs, time::Duration};

use rusqlite::Connection;

use super::{answered, begin, check_gapless, end, event, folder, log, new_turn, open, started, token};
use crate::{ConversationStore, DiskFault, NewTurn, StoreError, TurnState};

#[tokio::test]
async fn a_full_disk_fails_what_does_not_fit_and_the_writer_goes_on() {
    let folder = folder();
    let store = ConversationStore::open_tuned(folder.path(), "PRAGMA max_page_count = 130").expect("it opens");
    answered(&store, "large", "t").await;
    let key = begin(&store, "c", "t").await.key;
    store.append(started("c", key)).await.expect("it starts");
    let large = |turn_id: &str| NewTurn {
        user_text: "x".repeat(300_000),
        ..new_turn("large", turn_id)
    };
    store.begin_turn(large("fits")).await.expect("there is room for one");

    // In one batch or in several: the large one fails, the small ones don't.
    let before = store.enqueue(token("c", key, "before", &[])).await.expect("queued");
    let (failed, after) = tokio::join!(
        store.begin_turn(large("does not fit")),
        store.append(token("c", key, "after", &[]))
    );
    let error = failed.expect_err("there is no room for another");
    assert!(matches!(error, StoreError::Write { .. }), "{error}");
    assert_eq!(error.disk_fault(), Some(DiskFault::Full));
    assert!(error.to_string().ends_with(": the disk is full"), "{error}");
    before.await.expect("it fits");
    after.expect("it fits");

    let lost = store
        .enqueue(token("c", key, &"x".repeat(500_000), &[]))
        .await
        .expect("queued");
    let refused = store
        .enqueue(token("c", key, "after a gap", &[]))
        .await
        .expect("queued");
    assert!(matches!(lost.await, Err(StoreError::Write { .. })));
    assert!(matches!(refused.await, Err(StoreError::AfterFailure { .. })));
    store
        .end_turn(end("c", key, TurnState::Failed))
        .await
        .expect("its end fits");
    assert_eq!(
        store
            .turn("c", "t")
            .await
            .expect("readable")
            .expect("there")
            .answer_text,
        "beforeafter"
    );
    check_gapless(&log(&store, "c").await);
    check_gapless(&log(&store, "large").await);
    assert_eq!(store.turn("large", "does not fit").await.expect("readable"), None);
}

#[tokio::test]
async fn a_read_only_database_is_reported_and_can_still_be_read() {
    let folder = folder();
    answered(&open(folder.path()), "c", "t").await;
    let store = ConversationStore::open_tuned(folder.path(), "PRAGMA query_only = ON").expect("it opens");
    let error = store
        .begin_turn(new_turn("c", "new"))
        .await
        .expect_err("it is read-only");
    assert!(matches!(error, StoreError::Write { .. }), "{error}");
    assert!(error.to_string().ends_with(": the database is read-only"), "{error}");
    assert_eq!(log(&store, "c").await.len(), 4);
}

#[tokio::test]
async fn damage_in_the_middle_of_the_file_is_found() {
    let folder = folder();
    drop(open(folder.path()));
    let path = folder.path().join("conversations.sqlite3");
    assert_eq!(
        ConversationStore::find_damage(folder.path()).expect("readable"),
        [""; 0]
    );
    let mut bytes = fs::read(&path).expect("it can be read");
    // The first byte of a page is its kind.
    bytes[4 * 4096] = 77;
    fs::write(&path, bytes).expect("it is written");
    let found = ConversationStore::find_damage(folder.path());
    assert!(!matches!(&found, Ok(damage) if damage.is_empty()), "{found:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_reported() {
    let folder = folder();
    let path = folder.path().join("conversations.sqlite3");
    fs::write(
        &path,
        "not a database, and long enough for its header to be read: ".repeat(20),
    )
    .expect("it is written");
    let error = ConversationStore::open(folder.path()).expect_err("it is damaged");
    assert!(
        matches!(&error, StoreError::Damaged { path: named, .. } if *named == path),
        "{error}"
    );
    assert!(
        fs::read_to_string(&path)
            .expect("it is left alone")
            .starts_with("not a database")
    );
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let folder = folder();
    answered(&open(folder.path()), "c", "t").await;
    let path = folder.path().join("conversations.sqlite3");
    Connection::open(&path)
        .and_then(|db| db.pragma_update(None, "user_version", 99))
        .expect("it is newer now");
    let error = ConversationStore::open(folder.path()).expect_err("it is newer");
    assert!(
        matches!(&error, StoreError::Migrate { path: named, .. } if *named == path),
        "{error}"
    );
}

#[tokio::test]
async fn a_data_folder_that_is_a_file_is_reported() {
    let folder = folder();
    let path = folder.path().join("file");
    fs::write(&path, "").expect("it is written");
    let error = ConversationStore::open(&path).expect_err("it is a file");
    assert!(matches!(error, StoreError::MakeFolder { .. }), "{error}");
}

#[tokio::test]
async fn two_stores_on_one_folder_keep_one_numbering() {
    let folder = folder();
    let (first, second) = (open(folder.path()), open(folder.path()));
    for number in 0..20 {
        let store = if number % 2 == 0 { &first } else { &second };
        answered(store, "c", &number.to_string()).await;
    }
    let events = log(&first, "c").await;
    check_gapless(&events);
    assert_eq!(events.len(), 80);
}

#[tokio::test]
async fn a_lock_of_another_process_fails_the_batch_and_not_the_writer() {
    let folder = folder();
    let store = ConversationStore::open_tuned(folder.path(), "PRAGMA busy_timeout = 1").expect("it opens");
    let key = begin(&store, "c", "t").await.key;
    let other = Connection::open(folder.path().join("conversations.sqlite3")).expect("it can be opened");
    other.busy_timeout(Duration::from_secs(5)).expect("it can wait");
    other.execute_batch("BEGIN IMMEDIATE").expect("it can be locked");
    let error = store.append(started("c", key)).await.expect_err("it is locked");
    assert!(matches!(error, StoreError::Write { .. }), "{error}");
    other.execute_batch("ROLLBACK").expect("it can be unlocked");
    store
        .end_turn(end("c", key, TurnState::Failed))
        .await
        .expect("the writer lives");
}

#[tokio::test]
async fn a_receipt_that_is_dropped_undoes_nothing() {
    let folder = folder();
    let store = open(folder.path());
    let key = begin(&store, "c", "t").await.key;
    drop(store.enqueue(started("c", key)).await.expect("queued"));
    let mut extra = token("c", key, "kept", &[]);
    extra.events.push(event("evicted", "{}"));
    drop(store.enqueue(extra).await.expect("queued"));
    drop(store);
    assert_eq!(log(&open(folder.path()), "c").await.len(), 4);
}
