//! Reads of the tree, the log and the list, and their bounds.

use super::{answered, begin, end, event, folder, log, new_turn, open};
use crate::{ConversationStore, NewTurn, Parent, PathLimit, PathStart, StoreError, TurnState};

const ALL: PathLimit = PathLimit {
    turns: usize::MAX,
    bytes: usize::MAX,
    until: None,
};

/// Checks a path of conversation `c`, the newest turn first.
#[track_caller]
fn check(store: &ConversationStore, start: PathStart, limit: PathLimit, expected: &[&str]) {
    let read = store.path("c", start, limit);
    let turns = block_on(read).expect("the path can be read");
    let ids: Vec<_> = turns.iter().map(|turn| turn.turn_id.as_str()).collect();
    assert_eq!(ids, expected, "{start:?} {limit:?}");
}

/// Runs a future from code that is not asynchronous, so that a failed check reports its caller's line.
fn block_on<F: Future>(future: F) -> F::Output {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(future))
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_run_from_a_turn_to_the_root_and_stop_at_their_limits() {
    let folder = folder();
    let store = open(folder.path());
    check(&store, PathStart::Head, ALL, &[]);
    let mut keys = Vec::new();
    for turn_id in ["a", "b", "c", "d"] {
        keys.push(answered(&store, "c", turn_id).await);
    }
    check(&store, PathStart::Head, ALL, &["d", "c", "b", "a"]);
    check(&store, PathStart::Turn(keys[1]), ALL, &["b", "a"]);
    check(&store, PathStart::Head, PathLimit { turns: 2, ..ALL }, &["d", "c"]);
    check(&store, PathStart::Head, PathLimit { turns: 0, ..ALL }, &[]);
    check(&store, PathStart::Head, PathLimit { bytes: 1, ..ALL }, &["d"]);
    check(
        &store,
        PathStart::Head,
        PathLimit {
            until: Some(keys[1]),
            ..ALL
        },
        &["d", "c"],
    );
    check(
        &store,
        PathStart::Turn(keys[1]),
        PathLimit {
            until: Some(keys[1]),
            ..ALL
        },
        &[],
    );

    let edit = NewTurn {
        parent: Parent::Turn("a".into()),
        ..new_turn("c", "b2")
    };
    assert_eq!(store.begin_turn(edit).await.expect("it begins").parent, Some(keys[0]));
    check(&store, PathStart::Head, ALL, &["b2", "a"]);
    store.set_head("c", "d").await.expect("the head can be switched");
    check(&store, PathStart::Head, ALL, &["d", "c", "b", "a"]);
    let root = NewTurn {
        parent: Parent::Root,
        ..new_turn("c", "r")
    };
    assert_eq!(store.begin_turn(root).await.expect("it begins").parent, None);
    check(&store, PathStart::Head, ALL, &["r"]);

    let tree = store.turns("c", 0, 100).await.expect("readable");
    let tree: Vec<_> = tree
        .iter()
        .map(|turn| (turn.turn_id.as_str(), turn.parent_turn_id.as_deref()))
        .collect();
    let edges = [
        ("a", None),
        ("b", Some("a")),
        ("c", Some("b")),
        ("d", Some("c")),
        ("b2", Some("a")),
        ("r", None),
    ];
    assert_eq!(tree, edges);
    assert_eq!(store.turns("c", keys[3], 1).await.expect("readable").len(), 1);
}

#[tokio::test]
async fn a_path_or_head_of_another_conversation_is_not_found() {
    let folder = folder();
    let store = open(folder.path());
    let key = answered(&store, "c", "a").await;
    answered(&store, "other", "b").await;
    let error = store
        .path("other", PathStart::Turn(key), ALL)
        .await
        .expect_err("it is not there");
    assert!(matches!(error, StoreError::TurnNotFound { .. }), "{error}");
    let error = store.set_head("other", "a").await.expect_err("it is not there");
    assert!(matches!(error, StoreError::TurnNotFound { .. }), "{error}");
    let error = store.set_head("nowhere", "a").await.expect_err("it is not there");
    assert!(matches!(error, StoreError::ConversationNotFound { .. }), "{error}");
    assert_eq!(store.path("nowhere", PathStart::Head, ALL).await.expect("readable"), []);
}

#[tokio::test]
async fn reads_are_bounded_in_rows_and_bytes_and_lose_nothing() {
    let folder = folder();
    let store = open(folder.path());
    for number in 0..5 {
        let mut turn = new_turn("c", &number.to_string());
        turn.user_text = "x".repeat(400_000);
        turn.event = event("user", &"y".repeat(400_000));
        let key = store.begin_turn(turn).await.expect("it begins").key;
        store.end_turn(end("c", key, TurnState::Failed)).await.expect("it ends");
    }
    let first = store.events("c", 0, usize::MAX).await.expect("readable");
    assert_eq!(first.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(log(&store, "c").await.len(), 10);
    assert_eq!(store.turns("c", 0, usize::MAX).await.expect("readable").len(), 3);
    assert_eq!(store.events("c", 0, 0).await.expect("readable").len(), 1);
    assert_eq!(store.events("c", 10, 100).await.expect("readable"), []);
    assert_eq!(store.events("c", u64::MAX, 100).await.expect("readable"), []);
    let error = store.events("nowhere", 0, 100).await.expect_err("it is not there");
    assert!(matches!(error, StoreError::ConversationNotFound { .. }), "{error}");
}

#[tokio::test]
async fn pages_have_every_conversation_once_also_while_new_ones_are_created() {
    let folder = folder();
    let store = open(folder.path());
    for number in 0..7 {
        begin(&store, &format!("c{number}"), "t").await;
    }
    store.delete("c3").await.expect("it can be deleted");
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.list(cursor.as_deref(), 2).await.expect("readable");
        begin(&store, &format!("newer than {}", seen.len()), "t").await;
        seen.extend(page.conversations.into_iter().map(|conversation| conversation.id));
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, ["c6", "c5", "c4", "c2", "c1", "c0"]);
    for cursor in ["", "x", "-1", "0", "99999999999999999999"] {
        let error = store.list(Some(cursor), 2).await.expect_err("no page gave it");
        assert!(matches!(error, StoreError::InvalidCursor { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_conversation_has_its_head_and_last_seq() {
    let folder = folder();
    let store = open(folder.path());
    let key = answered(&store, "c", "a").await;
    let conversation = store.conversation("c").await.expect("readable").expect("there");
    assert_eq!((conversation.last_seq, conversation.head), (4, Some(key)));
    assert_eq!(conversation.head_turn_id.as_deref(), Some("a"));
    assert_eq!(
        store.list(None, 9).await.expect("readable").conversations,
        [conversation]
    );
}
