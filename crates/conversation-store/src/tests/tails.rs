//! Live subscriptions: they notify after the commit, for their own conversation, and miss nothing.

use std::task::{Context, Poll, Waker};

use super::{begin, end, folder, log, open, started, token};
use crate::{StoreError, Tail, TurnState, tail::LogGrowth, tail::Subscriptions};

/// Returns true if a tail has changed, without waiting.
fn is_woken(tail: &mut Tail) -> bool {
    let changed = std::pin::pin!(tail.changed());
    matches!(
        changed.poll(&mut Context::from_waker(Waker::noop())),
        Poll::Ready(Ok(()))
    )
}

#[tokio::test]
async fn a_tail_wakes_for_its_own_conversation_once_per_commit() {
    let folder = folder();
    let store = open(folder.path());
    let (mut tail, mut other) = (store.tail("c"), store.tail("other"));
    assert!(!is_woken(&mut tail));
    assert_eq!(tail.last_seq(), None);
    let key = begin(&store, "c", "t").await.key;
    tail.changed().await.expect("the store is open");
    assert_eq!(tail.last_seq(), Some(1));
    assert!(!is_woken(&mut tail));
    store.append(started("c", key)).await.expect("it starts");
    store.append(token("c", key, "x", &[])).await.expect("it streams");
    tail.changed().await.expect("the store is open");
    // A reader that is woken finds the events; by now there may be more.
    assert!(log(&store, "c").await.len() >= 2);
    assert!(!is_woken(&mut other));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_that_follow_see_every_event_in_order_and_then_the_end() {
    const TOKENS: usize = 2_000;
    let folder = folder();
    let store = open(folder.path());
    let readers: Vec<_> = (0..8)
        .map(|reader| {
            let store = store.clone();
            let mut tail = store.tail("c");
            tokio::spawn(async move {
                let mut seen = 0;
                loop {
                    // Half of them read the log only, the others the tail's newest events first.
                    let read = if reader % 2 == 0 {
                        store.events("c", seen, 100).await
                    } else {
                        store.read_tail(&tail, seen, 100).await
                    };
                    let more = match read {
                        Err(StoreError::ConversationNotFound { .. }) => Vec::new(),
                        read => read.expect("the log can be read"),
                    };
                    for event in &more {
                        seen += 1;
                        assert_eq!(event.seq, seen);
                    }
                    match more.last() {
                        Some(last) if last.kind == "done" => return seen,
                        Some(_) => {}
                        None => tail.changed().await.expect("the store is open"),
                    }
                }
            })
        })
        .collect();
    let key = begin(&store, "c", "t").await.key;
    let mut receipts = vec![store.enqueue(started("c", key)).await.expect("queued")];
    for _ in 0..TOKENS {
        receipts.push(store.enqueue(token("c", key, "x", &[1])).await.expect("queued"));
    }
    store.end_turn(end("c", key, TurnState::Done)).await.expect("it ends");
    for reader in readers {
        assert_eq!(reader.await.expect("no reader panics"), TOKENS as u64 + 3);
    }
}

#[tokio::test]
async fn a_deletion_and_the_end_of_the_store_wake_readers() {
    let folder = folder();
    let store = open(folder.path());
    begin(&store, "c", "t").await;
    let mut tail = store.tail("c");
    store.delete("c").await.expect("it can be deleted");
    tail.changed().await.expect("the store is open");
    assert!(matches!(store.events("c", 0, 1).await, Err(StoreError::Gone { .. })));
    drop(store);
    assert!(matches!(tail.changed().await, Err(StoreError::Closed)));
}

#[test]
fn conversations_without_subscribers_take_no_memory() {
    let subscriptions = Subscriptions::default();
    let (first, second, other) = (
        subscriptions.subscribe("c"),
        subscriptions.subscribe("c"),
        subscriptions.subscribe("other"),
    );
    assert_eq!(subscriptions.len(), 2);
    drop(first);
    let growth = LogGrowth {
        last_seq: 5,
        events: vec![],
    };
    subscriptions.notify("c", growth);
    assert_eq!(
        (subscriptions.len(), second.last_seq(), other.last_seq()),
        (2, Some(5), None)
    );
    drop(second);
    assert_eq!(subscriptions.len(), 1);
    drop(other);
    assert_eq!(subscriptions.len(), 0);
}
