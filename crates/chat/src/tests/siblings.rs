//! Siblings: regenerated answers and edited messages.

use conversation_store::TurnState;
use engine::{EngineError, Script, ScriptedEngine};
use protocol::OptionsPatch;

use super::test_chat::{TestChat, assert_refused, requests, summary, tokens, turn_command};
use crate::{RegenerateCommand, TurnCommand};

fn regenerate_command(turn_id: &str, new_turn_id: &str) -> RegenerateCommand {
    RegenerateCommand {
        conversation_id: "c".to_owned(),
        turn_id: turn_id.to_owned(),
        new_turn_id: Some(new_turn_id.to_owned()),
        ..RegenerateCommand::default()
    }
}

fn edit_command(turn_id: &str, new_turn_id: &str, message: &str) -> TurnCommand {
    TurnCommand {
        edit_turn_id: Some(turn_id.to_owned()),
        ..turn_command(new_turn_id, message)
    }
}

impl TestChat {
    async fn run(&self, command: TurnCommand) -> String {
        let handle = self.chat.start_turn(command).await.expect("it starts");
        summary(&self.read(&handle).await)
    }

    async fn rerun(&self, command: RegenerateCommand) -> String {
        let handle = self.chat.regenerate(command).await.expect("it starts");
        summary(&self.read(&handle).await)
    }

    /// Lists the turns as `ID<PARENT`, in the order in which they began, and the head.
    async fn tree(&self) -> String {
        let turns = self.store.turns("c", 0, 100).await.expect("readable");
        let head = self
            .store
            .conversation("c")
            .await
            .expect("readable")
            .expect("it exists");
        let shown = turns
            .iter()
            .map(|turn| format!("{}<{}", turn.turn_id, turn.parent_turn_id.as_deref().unwrap_or("-")));
        let shown: Vec<String> = shown.chain(head.head_turn_id.map(|id| format!("head {id}"))).collect();
        shown.join(" ")
    }
}

#[tokio::test]
async fn regenerating_makes_a_sibling() {
    let engine = ScriptedEngine::new([tokens(&["A"]), tokens(&["B"]), tokens(&["C"]), tokens(&["D"])]);
    let test = TestChat::new(engine.clone());
    test.run(turn_command("t1", "one")).await;
    test.run(turn_command("t2", "two")).await;
    assert_eq!(
        test.rerun(regenerate_command("t2", "t3")).await,
        "user started [C] done:stop"
    );
    assert_eq!(test.tree().await, "t1<- t2<t1 t3<t1 head t3");
    // The next turn follows the new sibling, without the first answer.
    test.run(turn_command("t4", "four")).await;
    let requests = requests(&engine);
    assert_eq!(requests[2], "User one | Assistant A[0] | User two");
    assert_eq!(requests[3], "after 3: User four");
    let turn = |id: &'static str| {
        let store = test.store.clone();
        async move { store.turn("c", id).await.expect("readable").expect("it exists") }
    };
    let (first, second) = (turn("t2").await, turn("t3").await);
    assert_eq!((first.user_text, &*first.answer_text), (second.user_text, "B"));
    assert_ne!(first.seed, second.seed);
}

#[tokio::test]
async fn a_root_has_siblings_too() {
    let test = TestChat::new(ScriptedEngine::new([]));
    test.run(turn_command("t1", "one")).await;
    test.rerun(regenerate_command("t1", "t2")).await;
    test.run(edit_command("t1", "t3", "uno")).await;
    test.run(edit_command("t3", "t4", "eins")).await;
    test.run(turn_command("t5", "two")).await;
    assert_eq!(test.tree().await, "t1<- t2<- t3<- t4<- t5<t4 head t5");
    test.run(edit_command("t5", "t6", "deux")).await;
    assert_eq!(test.tree().await, "t1<- t2<- t3<- t4<- t5<t4 t6<t4 head t6");
}

#[tokio::test]
async fn turns_that_did_not_finish_can_be_regenerated() {
    let failing = Script::Refuses(EngineError::ModelUnavailable {
        model: "m".to_owned(),
        reason: "gone".to_owned(),
    });
    let engine = ScriptedEngine::new([failing, tokens(&["B"])]);
    let test = TestChat::new(engine);
    assert_eq!(
        test.run(turn_command("t1", "one")).await,
        "user error:model_unavailable"
    );
    assert_eq!(
        test.rerun(regenerate_command("t1", "t2")).await,
        "user started [B] done:stop"
    );
    // Cancelled while it ran, and interrupted by a stop.
    let held = ScriptedEngine::new([tokens(&["C"]), tokens(&["D"])]).held();
    let test = test.stop_and_restart(held.clone()).await;
    let running = test
        .chat
        .start_turn(turn_command("t3", "three"))
        .await
        .expect("it starts");
    test.wait_for(&running, "started").await;
    test.chat.cancel("c", "t3").await.expect("it runs");
    test.read(&running).await;
    let cut = test
        .chat
        .regenerate(regenerate_command("t3", "t4"))
        .await
        .expect("it starts");
    test.wait_for(&cut, "started").await;
    let test = test.stop_and_restart(ScriptedEngine::new([tokens(&["E"])])).await;
    assert_eq!(
        test.rerun(regenerate_command("t4", "t5")).await,
        "user started [E] done:stop"
    );
    assert_eq!(test.tree().await, "t1<- t2<- t3<t2 t4<t2 t5<t2 head t5");
    let states = test.store.turns("c", 0, 100).await.expect("readable");
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
async fn a_repeated_command_joins_its_turn() {
    let test = TestChat::new(ScriptedEngine::new([]));
    test.run(turn_command("t1", "one")).await;
    test.rerun(regenerate_command("t1", "t2")).await;
    assert!(
        test.chat
            .regenerate(regenerate_command("t1", "t2"))
            .await
            .expect("it joins")
            .joined
    );
    let seeded = OptionsPatch::parse(r#"{"seed":7}"#).expect("in range");
    let other = RegenerateCommand {
        options: seeded.clone(),
        ..regenerate_command("t1", "t2")
    };
    assert_refused(test.chat.regenerate(other).await, "duplicate_turn", "\"t2\"");
    // A message with the same words is another command.
    assert_refused(
        test.chat.start_turn(turn_command("t2", "one")).await,
        "duplicate_turn",
        "\"t2\"",
    );
    let named_seed = RegenerateCommand {
        options: seeded,
        ..regenerate_command("t1", "t3")
    };
    test.rerun(named_seed).await;
    let turn = test.store.turn("c", "t3").await.expect("readable").expect("it exists");
    assert_eq!(turn.seed, 7);
    test.run(edit_command("t1", "t4", "uno")).await;
    assert!(
        test.chat
            .start_turn(edit_command("t1", "t4", "uno"))
            .await
            .expect("it joins")
            .joined
    );
    assert_refused(
        test.chat.start_turn(edit_command("t2", "t4", "uno")).await,
        "duplicate_turn",
        "\"t4\"",
    );
}

#[tokio::test]
async fn siblings_of_unknown_turns_are_refused() {
    let test = TestChat::new(ScriptedEngine::new([]));
    assert_refused(
        test.chat.regenerate(regenerate_command("t1", "t2")).await,
        "conversation_not_found",
        "\"t1\"",
    );
    test.run(turn_command("t1", "one")).await;
    assert_refused(
        test.chat.regenerate(regenerate_command("x", "t2")).await,
        "conversation_not_found",
        "\"x\"",
    );
    assert_refused(
        test.chat.regenerate(regenerate_command("a/b", "t2")).await,
        "invalid_request",
        "turnId",
    );
    assert_refused(
        test.chat.start_turn(edit_command("x", "t2", "hi")).await,
        "invalid_request",
        "\"editTurnId\"",
    );
    let both = TurnCommand {
        parent_turn_id: Some("t1".to_owned()),
        ..edit_command("t1", "t2", "hi")
    };
    assert_refused(
        test.chat.start_turn(both).await,
        "invalid_request",
        "exclude each other",
    );
    let nowhere = TurnCommand {
        conversation_id: None,
        ..edit_command("t1", "t2", "hi")
    };
    assert_refused(test.chat.start_turn(nowhere).await, "invalid_request", "\"editTurnId\"");
    std::fs::remove_file(test.agent_file("tester")).expect("a file");
    assert_refused(
        test.chat.regenerate(regenerate_command("t1", "t2")).await,
        "agent_not_found",
        "tester",
    );
    test.store.delete("c").await.expect("it is deleted");
    assert_refused(
        test.chat.regenerate(regenerate_command("t1", "t2")).await,
        "gone",
        "\"c\"",
    );
}
