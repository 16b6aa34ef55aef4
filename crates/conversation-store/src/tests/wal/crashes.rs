//! Crashes while tokens take the fast path: at any byte of a segment, beside another database, after random steps.

use std::{collections::BTreeMap, fs, path::Path};

use tempfile::TempDir;

use super::{append_tokens, segments, streaming};
use crate::{
    ConversationStore, NewEvent, Publish, StoreError, TurnKey, TurnState,
    tests::{append, begin, check_gapless, end, event, folder, log, open},
};

/// Copies the data folder as a crash would leave it now.
fn crashed(data: &Path) -> TempDir {
    let copy = folder();
    for entry in fs::read_dir(data).expect("it is a folder") {
        let entry = entry.expect("it can be listed");
        fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("it can be copied");
    }
    copy
}

/// Returns the tokens and the answer that a crash leaves of a conversation, whose running turn it then ends.
async fn after_a_crash(data: &Path) -> (Vec<String>, String) {
    let store = open(data);
    let mut events = log(&store, "c").await;
    check_gapless(&events);
    let turn = store.turn("c", "t").await.expect("readable").expect("there");
    for running in store.running().await.expect("readable") {
        // It can be continued where it was interrupted.
        let key = running.key;
        append_tokens(&store, "c", key, &["on"]).await;
        store
            .end_turn(end("c", key, TurnState::Interrupted))
            .await
            .expect("it ends");
    }
    let all = log(&store, "c").await;
    check_gapless(&all);
    assert_eq!(all[..events.len()], events);
    assert_eq!(all.len(), events.len() + 2);
    drop(store);
    assert!(segments(data).is_empty());
    let tokens = events.split_off(2).into_iter().map(|event| event.json).collect();
    (tokens, turn.answer_text)
}

#[tokio::test]
async fn a_segment_cut_at_any_byte_keeps_its_whole_lines() {
    let folder = folder();
    let store = open(folder.path());
    let key = streaming(&store, "c", "t").await;
    let words = ["one ", "two ", "\u{1F980}\n\"\\ "];
    append_tokens(&store, "c", key, &words).await;
    let [segment] = &segments(folder.path())[..] else {
        panic!("there is one")
    };
    let bytes = fs::read(segment).expect("it can be read");
    let (mut before, mut lengths) = (0, Vec::new());
    for cut in 0..=bytes.len() {
        let crash = crashed(folder.path());
        fs::write(
            crash.path().join(segment.file_name().expect("it has one")),
            &bytes[..cut],
        )
        .expect("it is cut");
        let (tokens, answer) = after_a_crash(crash.path()).await;
        assert_eq!(answer, words[..tokens.len()].concat());
        assert!(tokens.len() == before || tokens.len() == before + 1, "cut at {cut}");
        if tokens.len() > before {
            lengths.push(cut);
        }
        before = tokens.len();
    }
    assert_eq!((before, lengths.last()), (3, Some(&bytes.len())));
}

#[tokio::test]
async fn a_segment_with_any_byte_changed_adds_nothing_that_was_not_appended() {
    let folder = folder();
    let store = open(folder.path());
    let key = streaming(&store, "c", "t").await;
    let words = ["one ", "two "];
    append_tokens(&store, "c", key, &words).await;
    let [segment] = &segments(folder.path())[..] else {
        panic!("there is one")
    };
    let bytes = fs::read(segment).expect("it can be read");
    let version = bytes.iter().position(|byte| *byte == b'\n').expect("it has lines") - 1;
    for offset in (0..bytes.len()).filter(|offset| *offset != version) {
        let mut changed = bytes.clone();
        changed[offset] ^= 1;
        let crash = crashed(folder.path());
        fs::write(crash.path().join(segment.file_name().expect("it has one")), &changed).expect("it is changed");
        let (tokens, answer) = after_a_crash(crash.path()).await;
        assert_eq!(answer, words[..tokens.len()].concat(), "changed at {offset}");
        assert!(tokens.len() < words.len(), "changed at {offset}");
    }
    let mut newer = bytes.clone();
    newer[version] = b'2';
    let crash = crashed(folder.path());
    fs::write(crash.path().join(segment.file_name().expect("it has one")), &newer).expect("it is changed");
    let error = ConversationStore::open(crash.path()).expect_err("it is of another version");
    assert!(matches!(error, StoreError::ReadJournal { .. }), "{error}");
}

#[tokio::test]
async fn a_segment_beside_another_database_adds_nothing() {
    let folder = folder();
    let store = open(folder.path());
    let key = streaming(&store, "c", "t").await;
    let older = crashed(folder.path());
    append_tokens(&store, "c", key, &["a", "b"]).await;
    store
        .publish(Publish {
            conversation: "c".into(),
            turn_id: None,
            events: vec![event("narration", "{}")],
        })
        .await
        .expect("it is published");
    append_tokens(&store, "c", key, &["c"]).await;
    for segment in segments(folder.path()) {
        fs::copy(&segment, older.path().join(segment.file_name().expect("it has one"))).expect("it can be copied");
    }
    // Event 5 is in the newer database only.
    let (tokens, answer) = after_a_crash(older.path()).await;
    assert_eq!((tokens.len(), answer.as_str()), (2, "ab"));

    let other = tempfile::tempdir().expect("a temporary folder can be made");
    let another = open(other.path());
    begin(&another, "other", "t").await;
    begin(&another, "c", "t").await;
    drop(another);
    for segment in segments(folder.path()) {
        fs::copy(&segment, other.path().join(segment.file_name().expect("it has one"))).expect("it can be copied");
    }
    assert_eq!(log(&open(other.path()), "c").await.len(), 1);
    assert!(segments(other.path()).is_empty());
}

/// SplitMix64: the same steps in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % limit
    }
}

/// A store with what it has acknowledged of each log, and the running turns.
struct Model {
    data: TempDir,
    store: ConversationStore,
    logs: BTreeMap<&'static str, Vec<NewEvent>>,
    running: BTreeMap<&'static str, TurnKey>,
}

impl Model {
    async fn step(&mut self, random: &mut Random, number: u64) -> &'static str {
        let id = ["a", "b", "c"][random.below(3) as usize];
        let word = event("token", &format!("{{\"token\":\"{number}\"}}"));
        let store = &self.store;
        let acknowledged = self.logs.entry(id).or_default();
        match (random.below(12), self.running.get(id).copied()) {
            (0, _) => {
                let crash = crashed(self.data.path());
                self.store = open(crash.path());
                self.data = crash;
            }
            (1, Some(turn)) => {
                store.end_turn(end(id, turn, TurnState::Done)).await.expect("it ends");
                acknowledged.push(event("done", "{}"));
                self.running.remove(id);
            }
            (2, _) => {
                let remark = Publish {
                    conversation: id.into(),
                    turn_id: None,
                    events: vec![word.clone()],
                };
                store.publish(remark).await.expect("it is published");
                acknowledged.push(word);
            }
            (3, Some(turn)) => {
                let many: Vec<_> = (0..random.below(90)).map(|_| word.clone()).collect();
                let mut receipts = Vec::new();
                for word in &many {
                    let word = append(id, turn, vec![word.clone()]);
                    receipts.push(store.enqueue(word).await.expect("queued"));
                }
                for receipt in receipts {
                    receipt.await.expect("committed");
                }
                acknowledged.extend(many);
            }
            (_, Some(turn)) => {
                let two = vec![word.clone(), word.clone()];
                store.append(append(id, turn, two)).await.expect("committed");
                acknowledged.extend([word.clone(), word]);
            }
            (_, None) => {
                let turn = streaming(store, id, &number.to_string()).await;
                self.running.insert(id, turn);
                let json = format!(r#"{{"text":"question {number}"}}"#);
                acknowledged.extend([event("user", &json), event("started", "{}")]);
            }
        }
        id
    }

    async fn check(&self, id: &str) {
        let acknowledged = &self.logs[id];
        if acknowledged.is_empty() {
            return;
        }
        let events = log(&self.store, id).await;
        check_gapless(&events);
        let found: Vec<_> = events.iter().map(|event| (&event.kind, &event.json)).collect();
        let acknowledged: Vec<_> = acknowledged.iter().map(|event| (&event.kind, &event.json)).collect();
        assert_eq!(found, acknowledged);
    }
}

/// Runs random steps over three conversations with some crashes: the logs are what was acknowledged, in that order.
#[tokio::test]
async fn random_steps_and_crashes_lose_and_repeat_nothing() {
    for seed in 0..20 {
        let data = folder();
        let mut model = Model {
            store: open(data.path()),
            data,
            logs: BTreeMap::new(),
            running: BTreeMap::new(),
        };
        let mut random = Random(seed);
        for number in 0..120 {
            let id = model.step(&mut random, number).await;
            model.check(id).await;
        }
    }
}
