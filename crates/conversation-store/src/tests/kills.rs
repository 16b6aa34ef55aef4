//! SIGKILL while turns stream: what was acknowledged is stored, numbered without a gap, in a sound file.
//!
//! The test starts its own binary as the child that streams. The child prints a line for each acknowledgement of the
//! store, and is killed after a seeded number of lines.

use std::{
    collections::HashMap,
    env,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use rusqlite::Connection;

use super::{begin, check_gapless, end, folder, log, open, started, token};
use crate::{ConversationStore, TurnState};

/// The variable with the data folder; a process that has it is the child.
const FOLDER: &str = "CONVERSATION_STORE_KILLED_IN";
/// The variable with the round's number, which makes the child's turn ids new in each round.
const ROUND: &str = "CONVERSATION_STORE_ROUND";
const CHILD: &str = "tests::kills::child_streams_until_it_is_killed_or_else_passes";

const ROUNDS: u64 = 12;
const CONVERSATIONS: usize = 4;
/// More tokens than are ever acknowledged before the kill in some rounds, fewer in others.
const TOKENS_A_TURN: u32 = 40;

#[tokio::test]
async fn nothing_acknowledged_is_lost_by_kills_at_any_point() {
    let folder = folder();
    for round in 0..ROUNDS {
        let lines = 1 + random(round) % 400;
        let acknowledged = kill_after(lines, folder.path(), round);
        check_file(folder.path());
        let store = open(folder.path());
        for (conversation, seq) in &acknowledged {
            let events = log(&store, conversation).await;
            check_gapless(&events);
            assert!(
                events.len() as u64 >= *seq,
                "round {round}: {conversation} had {seq} acknowledged"
            );
        }
        check_turns(&store).await;
    }
}

/// The child process's body. Passes at once where it isn't the child.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_streams_until_it_is_killed_or_else_passes() {
    let (Ok(folder), Ok(round)) = (env::var(FOLDER), env::var(ROUND)) else {
        return;
    };
    let store = open(Path::new(&folder));
    let conversations = (0..CONVERSATIONS).map(|number| {
        let (store, conversation, round) = (store.clone(), format!("c{number}"), round.clone());
        tokio::spawn(async move {
            for turn in 0_u64.. {
                stream_turn(&store, &conversation, &format!("{round}-{turn}")).await;
            }
        })
    });
    for conversation in conversations.collect::<Vec<_>>() {
        conversation.await.expect("a stream ends only by the kill");
    }
}

async fn stream_turn(store: &ConversationStore, conversation: &str, turn_id: &str) {
    let begun = begin(store, conversation, turn_id).await;
    println!("acknowledged {conversation} {}", begun.first_seq);
    let mut receipts = vec![store.enqueue(started(conversation, begun.key)).await.expect("queued")];
    if conversation.ends_with(['0', '1']) {
        // Once the writer has no command of the conversation, tokens take the fast path.
        let seqs = receipts.remove(0).await.expect("committed");
        println!("acknowledged {conversation} {}", seqs.last);
    }
    for id in 0..TOKENS_A_TURN {
        let receipt = store
            .enqueue(token(conversation, begun.key, &format!("{id} "), &[id]))
            .await;
        receipts.push(receipt.expect("queued"));
    }
    for receipt in receipts {
        let seqs = receipt.await.expect("committed");
        println!("acknowledged {conversation} {}", seqs.last);
    }
    let seq = store
        .end_turn(end(conversation, begun.key, TurnState::Done))
        .await
        .expect("it ends");
    println!("acknowledged {conversation} {seq}");
}

/// Runs the child until it has printed so many lines, kills it, and returns the last number that it printed for
/// each conversation, also after the count was reached.
fn kill_after(lines: u64, folder: &Path, round: u64) -> HashMap<String, u64> {
    let mut child = spawn_child(folder, round);
    let output = BufReader::new(child.stdout.take().expect("its output is piped"));
    let mut acknowledged = HashMap::new();
    let mut seen = 0;
    for line in output.lines() {
        let line = line.expect("the child prints text");
        let Some((conversation, seq)) = line.strip_prefix("acknowledged ").and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        // The kill may cut the last line short; a number that is cut short is smaller, and acknowledged, too.
        if let Ok(seq) = seq.parse() {
            acknowledged.insert(conversation.to_owned(), seq);
        }
        seen += 1;
        if seen == lines {
            child.kill().expect("the child can be killed");
        }
    }
    let status = child.wait().expect("the child can be waited for");
    assert!(
        seen >= lines && !status.success(),
        "the child ended by itself after {seen} lines: {status}"
    );
    acknowledged
}

fn spawn_child(folder: &Path, round: u64) -> Child {
    Command::new(env::current_exe().expect("a test knows its binary"))
        .args([CHILD, "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test's own binary can be started")
}

fn check_file(folder: &Path) {
    let database = Connection::open(folder.join("conversations.sqlite3")).expect("it can be opened");
    let verdict: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("it can be checked");
    assert_eq!(verdict, "ok");
}

/// Checks that each turn's answer is that of its events, and that interrupted turns are found and end once.
async fn check_turns(store: &ConversationStore) {
    for number in 0..CONVERSATIONS {
        let conversation = format!("c{number}");
        if store.conversation(&conversation).await.expect("readable").is_none() {
            continue;
        }
        let events = log(store, &conversation).await;
        let mut after = 0;
        while let [turns @ .., last] = &store.turns(&conversation, after, 200).await.expect("readable")[..] {
            for turn in turns.iter().chain([last]) {
                let own = events
                    .iter()
                    .filter(|event| event.turn_id.as_deref() == Some(&turn.turn_id));
                let tokens = own.clone().filter(|event| event.kind == "token").count();
                let answer: String = (0..tokens).map(|id| format!("{id} ")).collect();
                assert_eq!(turn.answer_text, answer);
                assert_eq!(turn.answer_ids.as_ref().map_or(0, Vec::len), tokens);
                let ends = own
                    .filter(|event| event.kind == "done" || event.kind == "error")
                    .count();
                assert_eq!(ends, usize::from(turn.state.is_terminal()), "{turn:?}");
            }
            after = last.key;
        }
    }
    for turn in store.running().await.expect("readable") {
        let end = end(&turn.conversation, turn.key, TurnState::Interrupted);
        store
            .end_turn(crate::EndTurn {
                event: super::event("error", "{}"),
                ..end
            })
            .await
            .expect("it can end");
    }
    assert_eq!(store.running().await.expect("readable"), []);
}

/// SplitMix64: the same rounds in every run.
fn random(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
