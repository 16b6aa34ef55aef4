//! A turn from its beginning to its end: states, answer, log, and repeated commands.

use expect_test::{Expect, expect};

use super::{answered, append, begin, check_gapless, end, event, folder, log, new_turn, open, started, token};
use crate::{AppendEvents, EndTurn, NewTurn, Parent, SeqRange, StoreError, Turn, TurnState, token_ids};

#[tokio::test]
async fn a_turn_from_its_question_to_its_end_also_after_a_restart() {
    let folder = folder();
    let store = open(folder.path());
    let begun = begin(&store, "c", "t").await;
    assert_eq!((begun.first_seq, begun.parent, begun.joined), (1, None, false));
    let turn = store.turn("c", "t").await.expect("readable").expect("there");
    assert_eq!(
        (turn.state, turn.seed, turn.model),
        (TurnState::Pending, u64::MAX, None)
    );

    let seqs = store.append(started("c", begun.key)).await.expect("it starts");
    assert_eq!(seqs, SeqRange { first: 2, last: 2 });
    store
        .append(token("c", begun.key, "Hel", &[1, 128]))
        .await
        .expect("it streams");
    let mut two = token("c", begun.key, "lo", &[u32::MAX]);
    two.events.push(event("evicted", "{}"));
    assert_eq!(
        store.append(two).await.expect("it streams"),
        SeqRange { first: 4, last: 5 }
    );
    let turn = store.turn("c", "t").await.expect("readable").expect("there");
    assert_eq!((turn.state, turn.answer_text.as_str()), (TurnState::Streaming, "Hello"));
    assert_eq!(store.running().await.expect("readable"), [turn]);

    assert_eq!(
        store
            .end_turn(end("c", begun.key, TurnState::Done))
            .await
            .expect("it ends"),
        6
    );
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.running().await.expect("readable"), []);
    let turn = store.turn("c", "t").await.expect("readable").expect("there");
    check_whole(&turn);
    let events = log(&store, "c").await;
    check_gapless(&events);
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["user", "started", "token", "token", "evicted", "done"]);
    assert!(events.iter().all(|event| event.turn_id.as_deref() == Some("t")));
    assert_eq!(
        store.agent_snapshot("hash").await.expect("readable").as_deref(),
        Some(r#"{"name":"Planner"}"#)
    );
}

/// Checks every field of a finished turn.
#[track_caller]
fn check_whole(turn: &Turn) {
    expect![[r#"
        Turn {
            key: 1,
            turn_id: "t",
            conversation: "c",
            parent: None,
            parent_turn_id: None,
            state: Done,
            first_seq: 1,
            user_text: "question t",
            answer_text: "Hello",
            answer_ids: Some(
                [
                    1,
                    128,
                    4294967295,
                ],
            ),
            model: Some(
                "model",
            ),
            prompt_tokens: Some(
                7,
            ),
            epoch: Some(
                1,
            ),
            rounds_json: None,
            agent_id: "planner",
            agent_hash: "hash",
            options_json: "{}",
            seed: 18446744073709551615,
            body_hash: "body of t",
            created_at_ms: 1700000000000,
            ended_at_ms: Some(
                1700000000000,
            ),
        }
    "#]]
    .assert_debug_eq(turn);
}

#[tokio::test]
async fn the_same_command_joins_and_another_under_its_id_is_refused() {
    let folder = folder();
    let store = open(folder.path());
    let first = begin(&store, "c", "t").await;
    let again = begin(&store, "c", "t").await;
    assert_eq!(
        (again.key, again.first_seq, again.joined),
        (first.key, first.first_seq, true)
    );
    let other = NewTurn {
        body_hash: "another".into(),
        ..new_turn("c", "t")
    };
    let error = store.begin_turn(other).await.expect_err("the id is taken");
    assert!(matches!(error, StoreError::DuplicateTurn { .. }), "{error}");
    assert!(!begin(&store, "another conversation", "t").await.joined);
    assert_eq!(log(&store, "c").await.len(), 1);
}

/// Checks each transition from state `from`, or the error that refuses it.
async fn check_transitions(from: TurnState, expected: Expect) {
    let mut seen = String::new();
    for to in TurnState::ALL {
        let folder = folder();
        let store = open(folder.path());
        let key = begin(&store, "c", "t").await.key;
        if from != TurnState::Pending {
            store.append(started("c", key)).await.expect("it starts");
        }
        if from.is_terminal() {
            store.end_turn(end("c", key, from)).await.expect("it ends");
        }
        let before = log(&store, "c").await.len();
        let result = match to {
            TurnState::Streaming => store.append(started("c", key)).await.map(|seqs| seqs.last),
            to => store.end_turn(end("c", key, to)).await,
        };
        let grown = log(&store, "c").await.len() - before;
        match result {
            Ok(_) => assert_eq!(grown, 1),
            Err(ref error) => assert!(grown == 0 && !error.is_failure(), "{error}"),
        }
        seen += &result.map_or_else(|error| format!("{error}\n"), |_| format!("to {to}\n"));
    }
    expected.assert_eq(&seen);
}

#[tokio::test]
async fn transitions_from_pending() {
    check_transitions(
        TurnState::Pending,
        expect![[r#"
        turn 1 is pending and cannot become pending
        to streaming
        turn 1 is pending and cannot become done
        to cancelled
        to failed
        to interrupted
    "#]],
    )
    .await;
}

#[tokio::test]
async fn transitions_from_streaming() {
    check_transitions(
        TurnState::Streaming,
        expect![[r#"
        turn 1 is streaming and cannot become pending
        turn 1 is streaming and cannot become streaming
        to done
        to cancelled
        to failed
        to interrupted
    "#]],
    )
    .await;
}

#[tokio::test]
async fn transitions_from_terminal_states() {
    check_transitions(
        TurnState::Done,
        expect![[r#"
        turn 1 is done and cannot become pending
        turn 1 is done and takes no events
        turn 1 is done and cannot become done
        turn 1 is done and cannot become cancelled
        turn 1 is done and cannot become failed
        turn 1 is done and cannot become interrupted
    "#]],
    )
    .await;
    check_transitions(
        TurnState::Cancelled,
        expect![[r#"
        turn 1 is cancelled and cannot become pending
        turn 1 is cancelled and takes no events
        turn 1 is cancelled and cannot become done
        turn 1 is cancelled and cannot become cancelled
        turn 1 is cancelled and cannot become failed
        turn 1 is cancelled and cannot become interrupted
    "#]],
    )
    .await;
}

#[tokio::test]
async fn appends_that_a_turn_refuses() {
    let folder = folder();
    let store = open(folder.path());
    let key = begin(&store, "c", "t").await.key;
    let refused = |error: StoreError| error.to_string();
    let error = store.append(token("c", key, "x", &[])).await.map_err(refused);
    assert_eq!(error, Err("turn 1 is pending and takes no answer".into()));
    let error = store.append(append("c", key, vec![])).await.map_err(refused);
    assert_eq!(error, Err("an append to turn 1 has no event".into()));
    let error = store.append(token("c", 99, "x", &[])).await.map_err(refused);
    assert_eq!(error, Err("turn \"99\" not found in conversation \"c\"".into()));
    begin(&store, "other", "t").await;
    let error = store.append(token("other", key, "x", &[])).await.map_err(refused);
    assert_eq!(error, Err("turn \"1\" not found in conversation \"other\"".into()));
    let error = store.append(token("nowhere", key, "x", &[])).await.map_err(refused);
    assert_eq!(error, Err("conversation \"nowhere\" not found".into()));
    store
        .append(append("c", key, vec![event("evicted", "{}")]))
        .await
        .expect("a pending turn takes events");
    store
        .end_turn(end("c", key, TurnState::Cancelled))
        .await
        .expect("it ends");
    let error = store
        .append(append("c", key, vec![event("evicted", "{}")]))
        .await
        .map_err(refused);
    assert_eq!(error, Err("turn 1 is cancelled and takes no events".into()));
}

#[tokio::test]
async fn an_end_keeps_what_was_appended_or_replaces_it() {
    let folder = folder();
    let store = open(folder.path());
    for (turn_id, text, ids) in [("kept", None, None), ("replaced", Some("He"), Some(vec![1]))] {
        let key = begin(&store, "c", turn_id).await.key;
        store.append(started("c", key)).await.expect("it starts");
        store
            .append(token("c", key, "Hello", &[1, 2]))
            .await
            .expect("it streams");
        let end = EndTurn {
            answer_text: text.map(str::to_owned),
            answer_ids: ids.clone(),
            ..end("c", key, TurnState::Cancelled)
        };
        store.end_turn(end).await.expect("it ends");
        let turn = store.turn("c", turn_id).await.expect("readable").expect("there");
        assert_eq!(turn.answer_text, text.unwrap_or("Hello"));
        assert_eq!(turn.answer_ids, Some(ids.unwrap_or(vec![1, 2])));
    }
    let key = begin(&store, "c", "no ids").await.key;
    store.append(started("c", key)).await.expect("it starts");
    store.append(token("c", key, "text", &[])).await.expect("it streams");
    store.end_turn(end("c", key, TurnState::Done)).await.expect("it ends");
    assert_eq!(
        store
            .turn("c", "no ids")
            .await
            .expect("readable")
            .expect("there")
            .answer_ids,
        None
    );
}

#[tokio::test]
async fn appends_without_waiting_keep_their_order() {
    let folder = folder();
    let store = open(folder.path());
    let key = begin(&store, "c", "t").await.key;
    let mut receipts = vec![store.enqueue(started("c", key)).await.expect("queued")];
    for index in 0..3_000_u32 {
        receipts.push(
            store
                .enqueue(token("c", key, &format!("{index},"), &[index]))
                .await
                .expect("queued"),
        );
    }
    let end_seq = store.end_turn(end("c", key, TurnState::Done)).await.expect("it ends");
    assert_eq!(end_seq, 3_003);
    for (index, receipt) in receipts.into_iter().enumerate() {
        assert_eq!(receipt.await.expect("committed").first, index as u64 + 2);
    }
    let turn = store.turn("c", "t").await.expect("readable").expect("there");
    assert_eq!(turn.answer_ids, Some((0..3_000).collect()));
    assert_eq!(
        turn.answer_text,
        (0..3_000).map(|index| format!("{index},")).collect::<String>()
    );
    check_gapless(&log(&store, "c").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_conversations_at_once_share_commits_and_mix_nothing() {
    let folder = folder();
    let store = open(folder.path());
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let id = format!("c{number}");
                for turn in 0..4 {
                    answered(&store, &id, &format!("{number}-{turn}")).await;
                }
                let events = log(&store, &id).await;
                check_gapless(&events);
                assert_eq!(events.len(), 16);
                assert!(events.iter().all(|event| {
                    event
                        .turn_id
                        .as_ref()
                        .is_some_and(|id| id.starts_with(&format!("{number}-")))
                }));
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no task panics");
    }
}

#[tokio::test]
async fn a_turn_with_an_unknown_parent_is_refused() {
    let folder = folder();
    let store = open(folder.path());
    let orphan = NewTurn {
        parent: Parent::Turn("unknown".into()),
        ..new_turn("c", "t")
    };
    let error = store.begin_turn(orphan).await.expect_err("there is no such parent");
    assert!(matches!(error, StoreError::TurnNotFound { .. }), "{error}");
    assert_eq!(store.conversation("c").await.expect("readable"), None);
}

#[tokio::test]
async fn hostile_ids_and_texts_are_only_data() {
    let folder = folder();
    let store = open(folder.path());
    for id in [
        "'; DROP TABLE turn; --",
        "",
        "a\0b",
        "\u{202e}",
        "%",
        "_",
        &"x".repeat(10_000),
    ] {
        let mut turn = new_turn(id, id);
        turn.user_text = format!("{id}\0{id}");
        let key = store.begin_turn(turn).await.expect("it begins").key;
        store.append(started(id, key)).await.expect("it starts");
        store.append(token(id, key, "a\0b", &[])).await.expect("it streams");
        let turn = store.turn(id, id).await.expect("readable").expect("there");
        assert_eq!(
            (turn.user_text, turn.answer_text),
            (format!("{id}\0{id}"), "a\0b".to_owned())
        );
        assert_eq!(store.conversation(id).await.expect("readable").expect("there").id, id);
    }
}

#[tokio::test]
async fn a_command_over_the_limit_is_refused_and_leaves_no_gap() {
    let folder = folder();
    let store = open(folder.path());
    let huge = NewTurn {
        user_text: "x".repeat(9 << 20),
        ..new_turn("c", "t")
    };
    assert!(matches!(store.begin_turn(huge).await, Err(StoreError::TooLarge { .. })));
    let key = begin(&store, "c", "t").await.key;
    store.append(started("c", key)).await.expect("it starts");
    let large = store
        .enqueue(token("c", key, &"x".repeat(9 << 20), &[]))
        .await
        .expect("queued");
    let next: AppendEvents = token("c", key, "after", &[]);
    let next = store.enqueue(next).await.expect("queued");
    assert!(matches!(large.await, Err(StoreError::TooLarge { .. })));
    assert!(matches!(next.await, Err(StoreError::AfterFailure { .. })));
    store
        .end_turn(end("c", key, TurnState::Failed))
        .await
        .expect("it can still end");
    assert_eq!(
        store
            .turn("c", "t")
            .await
            .expect("readable")
            .expect("there")
            .answer_text,
        ""
    );
}

#[test]
fn token_ids_are_encoded_and_decoded() {
    let ids = [0, 1, 127, 128, 16_383, 16_384, 49_151, 2_097_152, u32::MAX];
    let mut blob = Vec::new();
    token_ids::encode(&ids, &mut blob);
    assert_eq!(token_ids::decode(&blob).as_deref(), Some(&ids[..]));
    assert_eq!(blob.len(), 1 + 1 + 1 + 2 + 2 + 3 + 3 + 4 + 5);
    for damaged in [
        &[0x80_u8][..],
        &[0xff, 0xff, 0xff, 0xff, 0x7f],
        &[0xff; 6],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    ] {
        assert_eq!(token_ids::decode(damaged), None, "{damaged:?}");
    }
}
