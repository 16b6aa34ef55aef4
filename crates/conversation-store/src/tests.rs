//! Tests of the store's guarantees, on real files.

mod archive;
mod deletes;
mod failures;
mod full_disk;
mod kills;
mod migrations;
mod paths;
mod publishing;
mod tails;
mod turns;
mod wal;

use std::path::Path;

use tempfile::TempDir;

use crate::{
    AnswerDelta, AppendEvents, BegunTurn, ConversationStore, EndTurn, Event, NewEvent, NewTurn, Parent, StartedFacts,
    TurnKey, TurnState,
};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn open(folder: &Path) -> ConversationStore {
    ConversationStore::open(folder).expect("the store can be opened")
}

fn event(kind: &str, json: &str) -> NewEvent {
    NewEvent {
        kind: kind.into(),
        at_ms: 1_700_000_000_000,
        json: json.into(),
    }
}

fn new_turn(conversation: &str, turn_id: &str) -> NewTurn {
    NewTurn {
        conversation: conversation.into(),
        turn_id: turn_id.into(),
        parent: Parent::Head,
        user_text: format!("question {turn_id}"),
        agent_id: "planner".into(),
        agent_hash: "hash".into(),
        agent_json: r#"{"name":"Planner"}"#.into(),
        options_json: "{}".into(),
        seed: u64::MAX,
        body_hash: format!("body of {turn_id}"),
        event: event("user", &format!(r#"{{"text":"question {turn_id}"}}"#)),
    }
}

fn append(conversation: &str, turn: TurnKey, events: Vec<NewEvent>) -> AppendEvents {
    AppendEvents {
        conversation: conversation.into(),
        turn,
        events,
        answer: None,
        started: None,
        rounds_json: None,
    }
}

fn started(conversation: &str, turn: TurnKey) -> AppendEvents {
    let facts = StartedFacts {
        model: "model".into(),
        prompt_tokens: 7,
        epoch: Some(turn),
    };
    AppendEvents {
        started: Some(facts),
        ..append(conversation, turn, vec![event("started", "{}")])
    }
}

fn token(conversation: &str, turn: TurnKey, text: &str, ids: &[u32]) -> AppendEvents {
    let answer = AnswerDelta {
        text: text.into(),
        ids: ids.into(),
    };
    let json = format!(r#"{{"token":{text:?}}}"#);
    AppendEvents {
        answer: Some(answer),
        ..append(conversation, turn, vec![event("token", &json)])
    }
}

fn end(conversation: &str, turn: TurnKey, state: TurnState) -> EndTurn {
    let event = event(if state == TurnState::Failed { "error" } else { "done" }, "{}");
    EndTurn {
        conversation: conversation.into(),
        turn,
        state,
        answer_text: None,
        answer_ids: None,
        event,
    }
}

async fn begin(store: &ConversationStore, conversation: &str, turn_id: &str) -> BegunTurn {
    store
        .begin_turn(new_turn(conversation, turn_id))
        .await
        .expect("the turn can begin")
}

/// A whole turn with a one-token answer.
async fn answered(store: &ConversationStore, conversation: &str, turn_id: &str) -> TurnKey {
    let key = begin(store, conversation, turn_id).await.key;
    store
        .append(started(conversation, key))
        .await
        .expect("the turn can start");
    let text = format!("answer {turn_id}");
    store
        .append(token(conversation, key, &text, &[7, 300]))
        .await
        .expect("the turn takes tokens");
    store
        .end_turn(end(conversation, key, TurnState::Done))
        .await
        .expect("the turn can end");
    key
}

async fn log(store: &ConversationStore, conversation: &str) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.seq);
        let more = store
            .events(conversation, after, 1_000)
            .await
            .expect("the log can be read");
        if more.is_empty() {
            return events;
        }
        events.extend(more);
    }
}

/// Checks that a log is numbered 1, 2, 3 …
#[track_caller]
fn check_gapless(events: &[Event]) {
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.seq, index as u64 + 1, "{event:?}");
    }
}

/// Runs commands until rows that the writer should remove are gone. It removes some after each command, so the deadline
/// is a number of commands, which doesn't depend on the machine's speed.
async fn wait_for_removal(store: &ConversationStore, of_what: &str, is_done: impl AsyncFn() -> bool) {
    const COMMANDS: usize = 1_000;
    for _ in 0..COMMANDS {
        if is_done().await {
            return;
        }
        let refused = store.set_head("unknown", "unknown").await;
        refused.expect_err("there is no such conversation");
    }
    panic!("{of_what} is still there after {COMMANDS} commands");
}
