//! Turns that have left the view are named once, by the ids that clients know.

use engine::{EngineEvent, FinishReason, Finished, ScriptedEngine, Timings, TurnTag, Usage};
use protocol::ServerEvent;

use super::engines::EmittingEngine;
use super::test_chat::{TestChat, started, turn_command};

fn evicted(tokens: u64, through: Option<u64>) -> EngineEvent {
    EngineEvent::Evicted {
        tokens,
        through: through.map(TurnTag),
    }
}

#[tokio::test]
async fn evicted_turns_are_named_once() {
    let (usage, timings) = (Usage::default(), Timings::default());
    let finished = Finished {
        reason: FinishReason::Stop,
        answer_ids: Vec::new(),
        usage,
        timings,
    };
    let events = vec![
        started(),
        evicted(5, None),
        evicted(6, Some(1)),
        evicted(7, Some(1)),
        evicted(8, Some(3)),
        EngineEvent::Finished(finished),
    ];
    let test = TestChat::new(ScriptedEngine::default());
    for turn in ["t1", "t2", "t3"] {
        let handle = test.chat.start_turn(turn_command(turn, "hi")).await.expect("it starts");
        test.read(&handle).await;
    }
    let test = test.restart(EmittingEngine(ScriptedEngine::default(), events));
    let last = test.ask("on").await;
    let named: Vec<(u64, Vec<String>)> = last
        .into_iter()
        .filter_map(|event| {
            if let ServerEvent::Evicted(gone) = event {
                Some((gone.tokens, gone.turns))
            } else {
                None
            }
        })
        .collect();
    let expected = [(5, vec![]), (6, vec!["t1"]), (7, vec![]), (8, vec!["t2", "t3"])];
    assert_eq!(
        named,
        expected.map(|(tokens, turns)| (tokens, turns.into_iter().map(str::to_owned).collect()))
    );
}
