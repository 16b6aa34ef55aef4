//! Siblings: an answer made once more, and a message edited.

use conversation_store::TurnState;
use engine::{EngineError, Script, ScriptedEngine};
use protocol::OptionsPatch;

use super::bench::{Bench, named, refused, requests, tokens, told};
use crate::{RegenerateCommand, TurnCommand};

fn again(turn_id: &str, new_turn_id: &str) -> RegenerateCommand {
    RegenerateCommand {
        conversation_id: "c".to_owned(),
        turn_id: turn_id.to_owned(),
        new_turn_id: Some(new_turn_id.to_owned()),
        ..RegenerateCommand::default()
    }
}

fn edit(turn_id: &str, new_turn_id: &str, message: &str) -> TurnCommand {
    TurnCommand {
        edit_turn_id: Some(turn_id.to_owned()),
        ..named(new_turn_id, message)
    }
}

impl Bench {
    async fn run(&self, command: TurnCommand) -> String {
        let handle = self.chat.start_turn(command).await.expect("it starts");
        told(&self.read(&handle).await)
    }

    async fn rerun(&self, command: RegenerateCommand) -> String {
        let handle = self.chat.regenerate(command).await.expect("it starts");
        told(&self.read(&handle).await)
    }

    /// Turns by id and parent, in the order in which they began, and the head.
    async fn tree(&self) -> String {
        let turns = self.store.turns("c", 0, 100).await.expect("readable");
        let head = self
            .store
            .conversation("c")
            .await
            .expect("readable")
            .expect("it is there");
        let shown = turns
            .iter()
            .map(|turn| format!("{}<{}", turn.turn_id, turn.parent_turn_id.as_deref().unwrap_or("-")));
        let shown: Vec<String> = shown.chain(head.head_turn_id.map(|id| format!("head {id}"))).collect();
        shown.join(" ")
    }
}

#[tokio::test]
async fn an_answer_is_made_once_more_beside_the_first() {
    let engine = ScriptedEngine::new([tokens(&["A"]), tokens(&["B"]), tokens(&["C"]), tokens(&["D"])]);
    let bench = Bench::new(engine.clone());
    bench.run(named("t1", "one")).await;
    bench.run(named("t2", "two")).await;
    assert_eq!(bench.rerun(again("t2", "t3")).await, "user started [C] done:stop");
    assert_eq!(bench.tree().await, "t1<- t2<t1 t3<t1 head t3");
    // What goes on follows the new one, and the first answer is no part of it.
    bench.run(named("t4", "four")).await;
    let asked = requests(&engine);
    assert_eq!(asked[2], "User one | Assistant A[0] | User two");
    assert_eq!(asked[3], "after 3: User four");
    let turn = |id: &'static str| {
        let store = bench.store.clone();
        async move { store.turn("c", id).await.expect("readable").expect("it is there") }
    };
    let (first, second) = (turn("t2").await, turn("t3").await);
    assert_eq!((first.user_text, &*first.answer_text), (second.user_text, "B"));
    assert_ne!(first.seed, second.seed);
}

#[tokio::test]
async fn the_root_has_siblings_too() {
    let bench = Bench::new(ScriptedEngine::new([]));
    bench.run(named("t1", "one")).await;
    bench.rerun(again("t1", "t2")).await;
    bench.run(edit("t1", "t3", "uno")).await;
    bench.run(edit("t3", "t4", "eins")).await;
    bench.run(named("t5", "two")).await;
    assert_eq!(bench.tree().await, "t1<- t2<- t3<- t4<- t5<t4 head t5");
    bench.run(edit("t5", "t6", "deux")).await;
    assert_eq!(bench.tree().await, "t1<- t2<- t3<- t4<- t5<t4 t6<t4 head t6");
}

#[tokio::test]
async fn a_turn_that_came_to_no_good_end_is_made_again() {
    let failing = Script::Refuses(EngineError::ModelUnavailable {
        model: "m".to_owned(),
        reason: "gone".to_owned(),
    });
    let engine = ScriptedEngine::new([failing, tokens(&["B"])]);
    let bench = Bench::new(engine);
    assert_eq!(bench.run(named("t1", "one")).await, "user error:model_unavailable");
    assert_eq!(bench.rerun(again("t1", "t2")).await, "user started [B] done:stop");
    // Cancelled while it ran, and interrupted by a stop.
    let held = ScriptedEngine::new([tokens(&["C"]), tokens(&["D"])]).held();
    let bench = bench.stop_and_restart(held.clone()).await;
    let running = bench.chat.start_turn(named("t3", "three")).await.expect("it starts");
    bench.wait_for(&running, "started").await;
    bench.chat.cancel("c", "t3").await.expect("it runs");
    bench.read(&running).await;
    let cut = bench.chat.regenerate(again("t3", "t4")).await.expect("it starts");
    bench.wait_for(&cut, "started").await;
    let bench = bench.stop_and_restart(ScriptedEngine::new([tokens(&["E"])])).await;
    assert_eq!(bench.rerun(again("t4", "t5")).await, "user started [E] done:stop");
    assert_eq!(bench.tree().await, "t1<- t2<- t3<t2 t4<t2 t5<t2 head t5");
    let states = bench.store.turns("c", 0, 100).await.expect("readable");
    let states: Vec<TurnState> = states.into_iter().map(|turn| turn.state).collect();
    assert_eq!(
        states,
        [
            TurnState::Failed,
            TurnState::Done,
            TurnState::Cancelled,
            TurnState::Interrupted,
            TurnState::Done
        ]
    );
}

#[tokio::test]
async fn the_same_command_again_joins() {
    let bench = Bench::new(ScriptedEngine::new([]));
    bench.run(named("t1", "one")).await;
    bench.rerun(again("t1", "t2")).await;
    assert!(bench.chat.regenerate(again("t1", "t2")).await.expect("it joins").joined);
    let seeded = OptionsPatch::parse(r#"{"seed":7}"#).expect("in range");
    let other = RegenerateCommand {
        options: seeded.clone(),
        ..again("t1", "t2")
    };
    refused(bench.chat.regenerate(other).await, "duplicate_turn", "\"t2\"");
    // A message with the same words is another command.
    refused(
        bench.chat.start_turn(named("t2", "one")).await,
        "duplicate_turn",
        "\"t2\"",
    );
    let named_seed = RegenerateCommand {
        options: seeded,
        ..again("t1", "t3")
    };
    bench.rerun(named_seed).await;
    let turn = bench
        .store
        .turn("c", "t3")
        .await
        .expect("readable")
        .expect("it is there");
    assert_eq!(turn.seed, 7);
    bench.run(edit("t1", "t4", "uno")).await;
    assert!(
        bench
            .chat
            .start_turn(edit("t1", "t4", "uno"))
            .await
            .expect("it joins")
            .joined
    );
    refused(
        bench.chat.start_turn(edit("t2", "t4", "uno")).await,
        "duplicate_turn",
        "\"t4\"",
    );
}

#[tokio::test]
async fn siblings_of_nothing_are_refused() {
    let bench = Bench::new(ScriptedEngine::new([]));
    refused(
        bench.chat.regenerate(again("t1", "t2")).await,
        "conversation_not_found",
        "\"t1\"",
    );
    bench.run(named("t1", "one")).await;
    refused(
        bench.chat.regenerate(again("x", "t2")).await,
        "conversation_not_found",
        "\"x\"",
    );
    refused(
        bench.chat.regenerate(again("a/b", "t2")).await,
        "invalid_request",
        "turnId",
    );
    refused(
        bench.chat.start_turn(edit("x", "t2", "hi")).await,
        "invalid_request",
        "\"editTurnId\"",
    );
    let both = TurnCommand {
        parent_turn_id: Some("t1".to_owned()),
        ..edit("t1", "t2", "hi")
    };
    refused(
        bench.chat.start_turn(both).await,
        "invalid_request",
        "exclude each other",
    );
    let nowhere = TurnCommand {
        conversation_id: None,
        ..edit("t1", "t2", "hi")
    };
    refused(
        bench.chat.start_turn(nowhere).await,
        "invalid_request",
        "\"editTurnId\"",
    );
    std::fs::remove_file(bench.agent_file("tester")).expect("a file");
    refused(
        bench.chat.regenerate(again("t1", "t2")).await,
        "agent_not_found",
        "tester",
    );
    bench.store.delete("c").await.expect("it is deleted");
    refused(bench.chat.regenerate(again("t1", "t2")).await, "gone", "\"c\"");
}
