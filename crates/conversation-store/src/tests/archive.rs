//! Export and import: nothing is lost, and an import is all or nothing.

use tempfile::TempDir;

use super::{append, event, folder, new_turn, open, wait_for_removal};
use crate::{
    AnswerDelta, ConversationStore, EndTurn, Import, ImportChecks, ImportTarget, Imported, Parent, Publish,
    StartedFacts, StoreError, TurnState,
};

/// Checks as a caller might make them.
fn checks() -> ImportChecks {
    ImportChecks {
        is_id: |id| !id.is_empty() && !id.contains(':'),
        agent: |hash, _json| (hash != "wrong").then_some(()).ok_or_else(|| "not its hash".to_owned()),
        event: |kind, _json| (kind != "none").then_some(()).ok_or_else(|| "no event".to_owned()),
    }
}

/// A store with conversation `c`: an answer, a sibling that was cancelled, one that failed below it, and a remark of no
/// turn.
async fn filled_store() -> (TempDir, ConversationStore) {
    let folder = folder();
    let store = open(folder.path());
    let other = store.begin_turn(new_turn("other", "x")).await.expect("it begins");
    for (turn, parent, state) in [
        ("t1", Parent::Root, TurnState::Done),
        ("t2", Parent::Root, TurnState::Cancelled),
        ("t3", Parent::Turn("t1".into()), TurnState::Failed),
    ] {
        let mut new = new_turn("c", turn);
        new.parent = parent;
        new.agent_hash = format!("hash of {turn}");
        let begun = store.begin_turn(new).await.expect("it begins");
        if state != TurnState::Failed {
            let started = StartedFacts {
                model: "m".into(),
                prompt_tokens: 7,
                epoch: Some(begun.key),
            };
            let answer = AnswerDelta {
                text: "tä\n".into(),
                ids: vec![1, 300, u32::MAX],
            };
            let mut begin = append(
                "c",
                begun.key,
                vec![event("token", r#"{"token":"tä\n",  "odd" : 1.50}"#)],
            );
            begin.rounds_json = (state == TurnState::Cancelled).then(|| r#"[ {"a":1} ]"#.to_owned());
            store
                .append(begin.with_start(started).with_answer(answer))
                .await
                .expect("it is written");
        }
        store
            .end_turn(EndTurn::new("c", begun.key, state, event("done", "{}")))
            .await
            .expect("it ends");
    }
    for turn_id in [None, Some("t1".to_owned())] {
        let publish = Publish {
            conversation: "c".into(),
            turn_id,
            events: vec![event("narration", r#"{"text":"so"}"#)],
        };
        store.publish(publish).await.expect("it is published");
    }
    store.set_head("c", "t1").await.expect("it is there");
    let end = EndTurn::new("other", other.key, TurnState::Failed, event("error", "{}"));
    store.end_turn(end).await.expect("it ends");
    (folder, store)
}

async fn exported(store: &ConversationStore, conversation: &str) -> Result<String, StoreError> {
    let mut export = store.export(conversation);
    let mut lines = String::new();
    while let Some(piece) = export.piece().await? {
        lines.push_str(&piece);
    }
    Ok(lines)
}

async fn import(store: &ConversationStore, lines: &str, id: Option<&str>) -> Result<Imported, StoreError> {
    let mut import = begin(store, id);
    for line in lines.lines() {
        import.line(line).await?;
    }
    import.finish().await
}

fn begin(store: &ConversationStore, id: Option<&str>) -> Import {
    let to = ImportTarget {
        id: id.map(str::to_owned),
    };
    store.import(to, checks())
}

#[tokio::test]
async fn an_export_is_imported_byte_for_byte() {
    let (_folder, store) = filled_store().await;
    let lines = exported(&store, "c").await.expect("it is there");
    assert_eq!(lines.lines().count(), 1 + 3 + 3 + 10);
    let elsewhere = folder();
    let copy = open(elsewhere.path());
    let imported = import(&copy, &lines, None).await.expect("it is what was exported");
    assert_eq!(
        (imported.conversation.as_str(), imported.turns, imported.events),
        ("c", 3, 10)
    );
    assert_eq!(exported(&copy, "c").await.expect("it is there"), lines);
    assert_eq!(
        copy.events("c", 0, 100).await.expect("readable"),
        store.events("c", 0, 100).await.expect("readable")
    );
    // Imported into the same store under another id, it differs by the id alone.
    import(&store, &lines, Some("d")).await.expect("the id is free");
    let renamed = exported(&store, "d").await.expect("it is there");
    assert_eq!(renamed.replacen("\"id\":\"d\"", "\"id\":\"c\"", 1), lines);
    let turn = store.turn("d", "t2").await.expect("readable").expect("it is there");
    assert_eq!(
        turn.epoch,
        Some(turn.key),
        "an epoch is named by this store's own number"
    );
    // It can be continued.
    let next = store.begin_turn(new_turn("d", "t4")).await.expect("it begins");
    assert_eq!(next.first_seq, 11);
}

#[tokio::test]
async fn an_id_that_is_taken_is_refused() {
    let (_folder, store) = filled_store().await;
    let lines = exported(&store, "c").await.expect("it is there");
    let refused = import(&store, &lines, None).await;
    assert!(
        matches!(refused, Err(StoreError::ConversationExists { .. })),
        "{refused:?}"
    );
    store.delete("c").await.expect("it is there");
    let refused = import(&store, &lines, None).await;
    assert!(matches!(refused, Err(StoreError::Gone { .. })), "{refused:?}");
    // Of two imports at once the second finds the id taken at its end.
    let (mut one, mut two) = (begin(&store, Some("e")), begin(&store, Some("e")));
    for line in lines.lines() {
        one.line(line).await.expect("it is free");
        two.line(line).await.expect("it is free still");
    }
    one.finish().await.expect("it is the first");
    let refused = two.finish().await;
    assert!(
        matches!(refused, Err(StoreError::ConversationExists { .. })),
        "{refused:?}"
    );
    assert_eq!(
        exported(&store, "e").await.expect("it is there").lines().count(),
        lines.lines().count()
    );
}

#[tokio::test]
async fn a_running_conversation_is_not_exported() {
    let (_folder, store) = filled_store().await;
    let running = store.begin_turn(new_turn("c", "t9")).await.expect("it begins");
    let refused = exported(&store, "c").await;
    assert!(matches!(refused, Err(StoreError::Running { .. })), "{refused:?}");
    let end = EndTurn::new("c", running.key, TurnState::Failed, event("error", "{}"));
    store.end_turn(end).await.expect("it ends");
    // A turn that begins after the first piece is not exported.
    let mut export = store.export("c");
    let mut lines = export.piece().await.expect("readable").expect("a header");
    store.begin_turn(new_turn("c", "t10")).await.expect("it begins");
    while let Some(piece) = export.piece().await.expect("readable") {
        lines.push_str(&piece);
    }
    assert!(!lines.contains("t10"));
    import(&store, &lines, Some("d")).await.expect("it is whole");
    let unknown = exported(&store, "unknown").await;
    assert!(
        matches!(unknown, Err(StoreError::ConversationNotFound { .. })),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn wrong_lines_are_reported_by_number_and_leave_nothing() {
    let (_folder, store) = filled_store().await;
    let lines = exported(&store, "c").await.expect("it is there");
    let before = store.list(None, 10).await.expect("readable");
    let cut: String = lines.split_inclusive('\n').take(12).collect();
    let without = |part: &str| -> String {
        lines
            .split_inclusive('\n')
            .filter(|line| !line.contains(part))
            .collect()
    };
    let twice = lines.replacen("\"id\":\"t2\"", "\"id\":\"t1\"", 1);
    for (wrong, line, expected) in [
        (String::new(), 0, "no header"),
        ("{}".to_owned(), 1, "missing field"),
        (lines.replacen("\"version\":1", "\"version\":2", 1), 1, "version 2"),
        (lines.replacen("sidecar.conversation", "other", 1), 1, "\"other\""),
        (lines.replacen("\"id\":\"c\"", "\"id\":\"a:b\"", 1), 1, "no id"),
        (cut, 12, "the end is missing"),
        (without("\"seq\":3,"), 10, "comes next"),
        (
            lines.replacen("\"state\":\"done\"", "\"state\":\"streaming\"", 1),
            5,
            "streaming",
        ),
        (lines.replacen("\"state\":\"done\"", "\"state\":\"well\"", 1), 5, "well"),
        (
            lines.replacen("\"parentTurnId\":\"t1\"", "\"parentTurnId\":\"t9\"", 1),
            7,
            "parent",
        ),
        (
            lines.replacen("\"epochTurnId\":\"t1\"", "\"epochTurnId\":\"t9\"", 1),
            5,
            "epoch",
        ),
        (
            lines.replacen("\"headTurnId\":\"t1\"", "\"headTurnId\":\"t9\"", 1),
            17,
            "head",
        ),
        (twice, 6, "twice"),
        (lines.replacen("{\"turn\"", "{\"Turn\"", 1), 5, "unknown variant"),
        (lines.replacen("\"endSeq\"", "\"end\"", 1), 5, "unknown field"),
        (
            lines.replacen("\"agentHash\":\"hash of t1\"", "\"agentHash\":\"h\"", 1),
            5,
            "agent",
        ),
        (format!("{lines}\n"), 18, "EOF"),
        (
            lines.replacen("\"hash\":\"hash of t1\"", "\"hash\":\"wrong\"", 1),
            2,
            "not its hash",
        ),
        (
            lines.replacen("\"kind\":\"token\"", "\"kind\":\"none\"", 1),
            9,
            "event 2: no event",
        ),
    ] {
        match import(&store, &wrong.replacen("\"id\":\"c\"", "\"id\":\"new\"", 1), None).await {
            Err(StoreError::BadArchive { line: found, reason }) => {
                assert!(reason.contains(expected), "{reason:?} doesn't contain {expected:?}");
                assert_eq!(found, line, "{expected}: {reason}");
            }
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert_eq!(store.list(None, 10).await.expect("readable"), before);
    assert_eq!(store.conversation("new").await.expect("readable"), None);
}

#[tokio::test]
async fn an_import_is_hidden_until_its_end_and_gone_without_one() {
    let (folder, store) = filled_store().await;
    let lines = exported(&store, "c").await.expect("it is there");
    let mut unfinished = begin(&store, Some("d"));
    for line in lines.lines() {
        unfinished.line(line).await.expect("it is what was exported");
    }
    assert_eq!(store.conversation("d").await.expect("readable"), None);
    assert_eq!(store.list(None, 10).await.expect("readable").conversations.len(), 2);
    // As after a crash: the import is not aborted.
    std::mem::forget(unfinished);
    drop(store);
    let store = open(folder.path());
    // Dropping the store waits for the removal.
    let mut dropped = begin(&store, Some("d"));
    let header = lines.lines().next().expect("a header");
    dropped.line(header).await.expect("the id is free");
    drop(dropped);
    import(&store, &lines, Some("d")).await.expect("the id is free");
    assert_eq!(
        exported(&store, "d").await.expect("it is there").lines().count(),
        lines.lines().count()
    );
}

#[tokio::test]
async fn agents_that_no_turn_refers_to_are_removed() {
    let (folder, store) = filled_store().await;
    let lines = exported(&store, "c").await.expect("it is there");
    let stray = |hash: &str| format!("{{\"agent\":{{\"hash\":\"{hash}\",\"json\":{{}}}}}}\n");
    let (header, rest) = lines.split_once('\n').expect("a header");
    let with = |hash: &str, rest: &str| format!("{header}\n{}{rest}", stray(hash));
    import(&store, &with("stray 1", rest), Some("d"))
        .await
        .expect("it is whole");
    import(&store, &with("stray 2", ""), Some("e"))
        .await
        .expect_err("its turns are missing");
    // The writer removes them when its queue is empty, and continues after a start.
    drop(store);
    let store = open(folder.path());
    for hash in ["stray 1", "stray 2"] {
        let is_removed = async || store.agent_snapshot(hash).await.expect("readable").is_none();
        wait_for_removal(&store, hash, is_removed).await;
    }
    assert!(store.agent_snapshot("hash of t1").await.expect("readable").is_some());
}
