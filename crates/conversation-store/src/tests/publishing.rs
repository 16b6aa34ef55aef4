//! Published events, and a turn's rounds of tool calls.

use super::{begin, check_gapless, end, event, folder, log, open, started};
use crate::{AppendEvents, Publish, StoreError, TurnState};

fn publish(conversation: &str, turn_id: Option<&str>) -> Publish {
    Publish {
        conversation: conversation.into(),
        turn_id: turn_id.map(str::to_owned),
        events: vec![
            event("narration", r#"{"text":"a"}"#),
            event("narration", r#"{"text":"b"}"#),
        ],
    }
}

#[tokio::test]
async fn published_events_are_numbered_with_the_others() {
    let folder = folder();
    let store = open(folder.path());
    let seqs = store
        .publish(publish("c", None))
        .await
        .expect("a new conversation takes it");
    assert_eq!((seqs.first, seqs.last), (1, 2));
    let key = begin(&store, "c", "t").await.key;
    store
        .publish(publish("c", Some("t")))
        .await
        .expect("a running turn's conversation takes it");
    store.append(started("c", key)).await.expect("the turn goes on");
    store.end_turn(end("c", key, TurnState::Done)).await.expect("and ends");
    store
        .publish(publish("c", Some("t")))
        .await
        .expect("one that is over may be named");
    let events = log(&store, "c").await;
    check_gapless(&events);
    let turns: Vec<_> = events.iter().map(|event| event.turn_id.as_deref()).collect();
    let t = Some("t");
    assert_eq!(turns, [None, None, t, t, t, t, t, t, t]);
    let found = store.conversation("c").await.expect("readable").expect("there");
    assert_eq!(found.head_turn_id.as_deref(), t);
}

#[tokio::test]
async fn nothing_is_published_where_it_does_not_belong() {
    let folder = folder();
    let store = open(folder.path());
    let unknown = store.publish(publish("c", Some("t"))).await;
    assert!(matches!(unknown, Err(StoreError::TurnNotFound { .. })), "{unknown:?}");
    assert_eq!(
        store.conversation("c").await.expect("readable"),
        None,
        "and none is made for it"
    );
    let empty = Publish {
        events: Vec::new(),
        ..publish("c", None)
    };
    let empty = store.publish(empty).await;
    assert!(matches!(empty, Err(StoreError::NothingPublished { .. })), "{empty:?}");
    store.publish(publish("c", None)).await.expect("it is made");
    store.delete("c").await.expect("it is deleted");
    let gone = store.publish(publish("c", None)).await;
    assert!(matches!(gone, Err(StoreError::Gone { .. })), "{gone:?}");
}

#[tokio::test]
async fn rounds_are_there_after_a_restart() {
    let folder = folder();
    let store = open(folder.path());
    let key = begin(&store, "c", "t").await.key;
    store.append(started("c", key)).await.expect("the turn starts");
    for rounds in ["[1]", "[1,2]"] {
        let append = AppendEvents {
            rounds_json: Some(rounds.into()),
            ..AppendEvents::new("c", key, vec![event("tool", "{}")])
        };
        store.append(append).await.expect("it takes rounds");
    }
    drop(store);
    let running = open(folder.path()).running().await.expect("readable");
    assert_eq!(running[0].rounds_json.as_deref(), Some("[1,2]"));
}
