//! Many conversations at once, with turns cancelled at any moment: each log stays whole.

use std::collections::HashMap;

use conversation_store::{Event, TurnState};
use engine::{Script, ScriptedEngine};
use protocol::ServerEvent;

use super::test_chat::{TestChat, parsed};
use crate::{Chat, TurnCommand};

const CONVERSATIONS: u64 = 16;
const TURNS: u64 = 6;

/// Returns scattered numbers, the same in every run.
fn scattered(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

fn answers() -> impl Iterator<Item = Script> {
    (0..CONVERSATIONS * TURNS).map(|i| {
        let texts = (0..scattered(i) % 40).map(|n| format!("{n} ")).collect();
        let fault = engine::EngineError::Internal {
            reason: "a fault".to_owned(),
        };
        if scattered(i + 1_000).is_multiple_of(7) {
            Script::Fails(texts, fault)
        } else {
            Script::Tokens(texts)
        }
    })
}

/// Starts the turns of one conversation and cancels some of them.
async fn converse(chat: Chat, conversation: u64) {
    for turn in 0..TURNS {
        let number = scattered(conversation * 100 + turn);
        let command = TurnCommand {
            conversation_id: Some(format!("c{conversation}")),
            ..super::test_chat::command("hi")
        };
        let handle = chat.start_turn(command).await.expect("it starts");
        for _ in 0..number % 50 {
            tokio::task::yield_now().await;
        }
        if number.is_multiple_of(3) {
            chat.cancel(&handle.conversation_id, &handle.turn_id)
                .await
                .expect("the turn exists");
        }
    }
}

/// Checks a log: `seq` has no gap, each turn begins with `user` and has one terminal event, its last, and its tokens
/// are the stored answer.
async fn check(test: &TestChat, conversation: &str) {
    let events = test.store.events(conversation, 0, 1_000).await.expect("readable");
    assert!(events.iter().zip(1..).all(|(event, seq)| event.seq == seq), "no gap");
    let mut turns: HashMap<String, Vec<&Event>> = HashMap::new();
    for event in &events {
        turns
            .entry(event.turn_id.clone().expect("every event has a turn"))
            .or_default()
            .push(event);
    }
    assert_eq!(turns.len() as u64, TURNS);
    for (turn_id, events) in turns {
        let ends = events
            .iter()
            .filter(|event| matches!(event.kind.as_str(), "done" | "error"))
            .count();
        let last = events.last().expect("a turn has events");
        assert_eq!((events[0].kind.as_str(), ends), ("user", 1));
        assert!(matches!(last.kind.as_str(), "done" | "error"));
        let text: String = events
            .iter()
            .filter_map(|event| {
                if let ServerEvent::Token(token) = parsed(event) {
                    Some(token.token)
                } else {
                    None
                }
            })
            .collect();
        let turn = test
            .store
            .turn(conversation, &turn_id)
            .await
            .expect("readable")
            .expect("stored");
        assert_eq!(turn.answer_text, text);
        assert!(matches!(
            turn.state,
            TurnState::Done | TurnState::Cancelled | TurnState::Failed
        ));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_many_turns_ends_once() {
    let test = TestChat::new(ScriptedEngine::new(answers()));
    let conversations: Vec<_> = (0..CONVERSATIONS)
        .map(|i| tokio::spawn(converse(test.chat.clone(), i)))
        .collect();
    for conversation in conversations {
        conversation.await.expect("no start fails");
    }
    test.wait_for_idle().await;
    for conversation in 0..CONVERSATIONS {
        check(&test, &format!("c{conversation}")).await;
    }
    assert_eq!(test.store.running().await.expect("readable"), []);
}
