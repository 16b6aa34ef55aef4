//! Migrations keep the content of earlier versions' databases.

use rusqlite::Connection;

use super::{folder, open};
use crate::TurnState;

/// A database of the version before answers were stored beside their events, with an interrupted turn.
const VERSION_3: &str = concat!(
    include_str!("../schema/001_log.sql"),
    include_str!("../schema/002_rounds.sql"),
    include_str!("../schema/003_import.sql"),
    "PRAGMA user_version = 3;
     INSERT INTO conversation (key, id, created_at, updated_at, head, last_seq) VALUES (7, 'c', 1, 1, 9, 4);
     INSERT INTO agent_snapshot VALUES ('hash', '{}');
     INSERT INTO turn (key, conversation, id, state, first_seq, user_text, agent_id, agent_hash, options, seed, body_hash, created_at)
         VALUES (9, 7, 't', 'streaming', 1, 'Hello?', 'planner', 'hash', '{}', 1, 'body', 1);
     INSERT INTO event VALUES (7, 1, 9, 'user', 1, '{}'), (7, 2, 9, 'started', 1, '{}'),
         (7, 3, 9, 'token', 1, '{\"token\":\"Hel\"}'), (7, 4, 9, 'token', 1, '{\"token\":\"lo\"}');
     INSERT INTO answer_part VALUES (9, 3, 'Hel', x'01'), (9, 4, 'lo', x'02');"
);

#[tokio::test]
async fn an_answer_in_parts_moves_beside_its_events() {
    let folder = folder();
    Connection::open(folder.path().join("conversations.sqlite3"))
        .and_then(|database| database.execute_batch(VERSION_3))
        .expect("it is written");
    let store = open(folder.path());
    let turn = store.turn("c", "t").await.expect("readable").expect("it is there");
    assert_eq!(
        (turn.answer_text.as_str(), turn.answer_ids),
        ("Hello", Some(vec![1, 2]))
    );
    store.append(super::token("c", 9, "!", &[3])).await.expect("it goes on");
    store
        .end_turn(super::end("c", 9, TurnState::Done))
        .await
        .expect("it ends");
    let turn = store.turn("c", "t").await.expect("readable").expect("it is there");
    assert_eq!(
        (turn.answer_text.as_str(), turn.answer_ids),
        ("Hello!", Some(vec![1, 2, 3]))
    );
    assert_eq!(super::log(&store, "c").await.len(), 6);
}
