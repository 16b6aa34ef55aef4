//! The prompt view, rebuilt from the log. The scripted engine's tokens are characters.

use engine::{Engine as _, ScriptedEngine};
use protocol::{OptionsPatch, PromptPartKind};
use sha2::{Digest as _, Sha256};

use super::test_chat::{TestChat, tokens, turn_command};
use crate::TurnCommand;
use crate::command::hex;

#[tokio::test]
async fn a_prompt_is_rebuilt_from_the_log() {
    let engine = ScriptedEngine::new([tokens(&["A1"]), tokens(&["A2"])]);
    let test = TestChat::new(engine.clone());
    let options = OptionsPatch::parse(r#"{"windowTokens":4}"#).expect("in range");
    for (turn, message) in [("t1", "one"), ("t2", "two")] {
        let command = TurnCommand {
            options: options.clone(),
            ..turn_command(turn, message)
        };
        let handle = test.chat.start_turn(command).await.expect("it starts");
        test.read(&handle).await;
    }
    test.write_agent("tester", "changed: since");
    let prompt = test.chat.prompt("c", "t2").await.expect("it can be rebuilt");
    let text = "Be brief.\n\n- a fact\none\nA1\ntwo\n";
    assert_eq!(prompt.text_sha256, hex(&Sha256::digest(text)));
    let ids: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    assert_eq!(prompt.ids_sha256, hex(&Sha256::digest(&ids)));
    assert_eq!(
        (prompt.segment.text.as_deref(), prompt.segment.ids.map(|ids| ids.len())),
        (Some("two\n"), Some(4))
    );
    assert_eq!((prompt.segment.start, prompt.segment.end), (27, 31));
    assert_eq!((prompt.epoch_turn_id.as_deref(), prompt.same_model), (Some("t1"), true));
    assert_eq!(prompt.model, Some(engine.model().fingerprint));
    assert_eq!(prompt.window.end, 31);
    assert_eq!(prompt.window.sink_tokens, 20);
    assert_eq!(prompt.agent.system_prompt, "Be brief.");
    let parts: Vec<_> = prompt
        .parts
        .iter()
        .map(|part| (part.kind, part.turn_id.as_deref(), part.start, part.end))
        .collect();
    let expected = [
        (PromptPartKind::System, None, 0, 20),
        (PromptPartKind::User, Some("t1"), 20, 24),
        (PromptPartKind::Assistant, Some("t1"), 24, 27),
        (PromptPartKind::User, Some("t2"), 27, 31),
    ];
    assert_eq!(parts, expected);
}

#[tokio::test]
async fn the_prompt_of_a_turn_that_never_started_is_its_question() {
    let engine = ScriptedEngine::new([tokens(&["A1"])]).held();
    let test = TestChat::new(engine.clone());
    test.chat
        .start_turn(turn_command("t1", "one"))
        .await
        .expect("it starts");
    test.chat.start_turn(turn_command("t2", "two")).await.expect("it waits");
    let prompt = test.chat.prompt("c", "t2").await.expect("it can be rebuilt");
    assert_eq!((prompt.model, prompt.epoch_turn_id), (None, None));
    assert_eq!(prompt.text_sha256, hex(&Sha256::digest("Be brief.\n\n- a fact\ntwo\n")));
}

#[tokio::test]
async fn the_prompt_of_an_unknown_turn_is_an_error() {
    let test = TestChat::new(ScriptedEngine::new([]));
    let error = test.chat.prompt("c", "t").await.expect_err("there is none");
    assert_eq!(error.code().as_str(), "conversation_not_found");
}

#[tokio::test]
async fn a_prompt_begins_with_its_epoch_and_omits_siblings() {
    let engine = ScriptedEngine::new([tokens(&["A1"]), tokens(&["A2"])]);
    let test = TestChat::new(engine.clone());
    for (turn, parent, message) in [
        ("t1", None, "one"),
        ("t2", Some("t1"), "two"),
        ("t3", Some("t1"), "three"),
    ] {
        let command = TurnCommand {
            parent_turn_id: parent.map(str::to_owned),
            ..turn_command(turn, message)
        };
        let handle = test.chat.start_turn(command).await.expect("it starts");
        test.read(&handle).await;
    }
    let sha = |text: &str| hex(&Sha256::digest(text));
    let prompt = test.chat.prompt("c", "t3").await.expect("it can be rebuilt");
    assert_eq!(
        prompt.text_sha256,
        sha("Be brief.\n\n- a fact\none\nA1\nthree\n"),
        "a branch leaves its sibling out"
    );
    assert_eq!(prompt.epoch_turn_id.as_deref(), Some("t1"));
}
