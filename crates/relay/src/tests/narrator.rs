//! The processing of one message, complete and interrupted.

use std::time::Duration;

use expect_test::expect;
use protocol::NarratorMessage;

use super::{Setup, look, user_message};
use crate::{FakeAnswer, FakeRelay, FeedQuery, LeaseError, NarratorError, RelayAnswer, RelayError, Remark, WaitFor};

fn answer(text: &str) -> FakeAnswer {
    FakeAnswer::Answer(RelayAnswer::text(text), Duration::ZERO)
}

#[tokio::test]
async fn an_answer_is_published_to_all_readers() {
    let relay = FakeRelay::new([answer("All is well.\nReally.")]);
    let setup = Setup::new(relay.clone());
    setup.register();
    let accepted = setup
        .narrator
        .send(user_message("How is it?"), WaitFor::Answer)
        .await
        .expect("it is answered");
    assert_eq!(
        (accepted.workspace_id.as_str(), accepted.conversation_id.as_str()),
        ("w", "c")
    );
    expect![[r#"narration {"text":"All is well.\nReally.","headline":"All is well.","source":"narrator"}"#]]
        .assert_eq(&setup.logged("c").await.join("\n"));
    expect![[r#"
        narration user How is it?: How is it?
        narration narrator All is well.: All is well.
        Really."#]]
    .assert_eq(&setup.feed().await.join("\n"));
    let messages = relay.messages();
    assert_eq!(
        (&messages[0].task_id, &messages[0].event_id),
        (&accepted.task_id, &accepted.event_id)
    );
    let raw = setup.narrator.raw(look("w")).await.expect("the log can be read");
    let of_task = raw.lines().filter(|line| line.contains(&accepted.task_id)).count();
    assert_eq!(
        (of_task, raw.lines().count()),
        (3, 3),
        "every line names its task: {raw}"
    );
    assert!(
        raw.lines()
            .last()
            .is_some_and(|line| line.contains(&format!("\"id\":\"{}\"", accepted.event_id)))
    );
}

#[tokio::test]
async fn without_a_lease_no_relay_is_asked_and_nothing_is_written() {
    let relay = FakeRelay::new([]);
    let setup = Setup::new(relay.clone());
    let refused = setup.narrator.send(user_message("Hello?"), WaitFor::Answer).await;
    assert!(
        matches!(refused, Err(NarratorError::Lease(LeaseError::NotRegistered { .. }))),
        "{refused:?}"
    );
    assert_eq!((relay.messages().len(), setup.feed().await.len()), (0, 0));
}

#[tokio::test]
async fn a_lease_that_ends_meanwhile_suppresses_the_answer() {
    let relay = FakeRelay::held([answer("Too late.")]);
    let setup = Setup::new(relay.clone());
    setup.register();
    let narrator = setup.narrator.clone();
    let sending = tokio::spawn(async move { narrator.send(user_message("Hello?"), WaitFor::Answer).await });
    relay.received(1).await;
    setup.clock.advance(60);
    relay.release(1);
    let refused = sending.await.expect("the task ends");
    assert!(
        matches!(refused, Err(NarratorError::Lease(LeaseError::NotRegistered { .. }))),
        "{refused:?}"
    );
    let types = [
        "USER_MESSAGE",
        "NARRATION_SUPPRESSED",
        "ERROR",
        "WORKSPACE_NARRATOR_COMPLETED",
    ];
    assert_eq!(setup.line_types().await, types);
    assert!(
        setup.store.conversation("c").await.expect("readable").is_none(),
        "nothing is published"
    );
}

#[tokio::test]
async fn a_lease_that_is_taken_over_meanwhile_is_valid() {
    let relay = FakeRelay::held([]);
    let setup = Setup::new(relay.clone());
    let old = setup.register();
    let narrator = setup.narrator.clone();
    let sending = tokio::spawn(async move { narrator.send(user_message("Hello?"), WaitFor::Answer).await });
    relay.received(1).await;
    let request = crate::LeaseRequest {
        agent_id: "controller".to_owned(),
        token: Some(old.token),
        ..crate::LeaseRequest::default()
    };
    setup.narrator.leases().register(request).expect("the token is right");
    relay.release(1);
    sending.await.expect("the task ends").expect("and answered");
}

#[tokio::test]
async fn the_relays_error_is_returned_and_logged() {
    let blank = FakeAnswer::Answer(RelayAnswer::text(" \n"), Duration::ZERO);
    let nothing = FakeAnswer::Answer(RelayAnswer { remarks: Vec::new() }, Duration::ZERO);
    let setup = Setup::new(FakeRelay::new([FakeAnswer::Fail("no luck".to_owned()), blank, nothing]));
    setup.register();
    for detail in [
        "no luck",
        "the relay's answer has no visible character",
        "the relay's answer has no visible character",
    ] {
        let failed = setup
            .narrator
            .send(user_message("Hello?"), WaitFor::Answer)
            .await
            .expect_err("it fails");
        assert!(
            matches!(failed, NarratorError::Relay(RelayError::Failed { .. })),
            "{failed:?}"
        );
        assert_eq!(failed.to_string(), detail);
        let feed = setup.feed().await;
        assert_eq!(
            feed.last().map(String::as_str),
            Some(format!("error system relay_failed: {detail}").as_str())
        );
    }
}

#[tokio::test]
async fn a_hanging_relay_times_out() {
    let setup = Setup::with(FakeRelay::new([FakeAnswer::Hang]), |settings| {
        settings.relay_limit = Duration::from_millis(10);
    });
    setup.register();
    let given_up = setup
        .narrator
        .send(user_message("Hello?"), WaitFor::Answer)
        .await
        .expect_err("it hangs");
    assert_eq!(given_up.to_string(), "the relay didn't answer within 0.01 s");
    setup
        .narrator
        .send(user_message("Hello?"), WaitFor::Answer)
        .await
        .expect("the next message is answered");
}

#[tokio::test]
async fn without_waiting_the_answer_is_in_the_log() {
    let relay = FakeRelay::held([answer("Later.")]);
    let setup = Setup::new(relay.clone());
    setup.register();
    let mut tail = setup.store.tail("c");
    let accepted = setup
        .narrator
        .send(user_message("Hello?"), WaitFor::Nothing)
        .await
        .expect("it is accepted");
    assert_eq!(accepted.conversation_id, "c");
    relay.received(1).await;
    assert_eq!(setup.line_types().await, ["USER_MESSAGE"]);
    relay.release(1);
    tail.changed().await.expect("it is narrated");
    assert_eq!(setup.logged("c").await.len(), 1);
}

#[tokio::test]
async fn a_message_is_processed_although_its_caller_has_gone() {
    let relay = FakeRelay::held([]);
    let setup = Setup::new(relay.clone());
    setup.register();
    let mut tail = setup.store.tail("c");
    let narrator = setup.narrator.clone();
    let sending = tokio::spawn(async move { narrator.send(user_message("Hello?"), WaitFor::Answer).await });
    relay.received(1).await;
    sending.abort();
    relay.release(1);
    tail.changed().await.expect("it is narrated");
}

#[tokio::test]
async fn concurrent_messages_are_limited() {
    let relay = FakeRelay::held([]);
    let setup = Setup::new(relay.clone());
    setup.register();
    for _ in 0..64 {
        setup
            .narrator
            .send(user_message("Hello?"), WaitFor::Nothing)
            .await
            .expect("there is room");
    }
    let refused = setup.narrator.send(user_message("Hello?"), WaitFor::Nothing).await;
    assert!(matches!(refused, Err(NarratorError::Busy { limit: 64 })), "{refused:?}");
}

#[tokio::test]
async fn suppressed_remarks_are_logged_but_not_published() {
    let remark = |text: &str, suppressed| Remark {
        text: text.to_owned(),
        headline: Some(text.to_uppercase()),
        playbook_id: Some("p".to_owned()),
        suppressed,
    };
    let remarks = vec![remark("a", false), remark("b", true), remark("c", false)];
    let setup = Setup::new(FakeRelay::new([
        FakeAnswer::Answer(RelayAnswer { remarks }, Duration::ZERO),
        FakeAnswer::Answer(
            RelayAnswer {
                remarks: vec![remark("d", true)],
            },
            Duration::ZERO,
        ),
    ]));
    setup.register();
    for _ in 0..2 {
        setup
            .narrator
            .send(user_message("Hello?"), WaitFor::Answer)
            .await
            .expect("it is answered");
    }
    expect![[r#"
        narration {"text":"a","headline":"A","source":"narrator"}
        narration {"text":"c","headline":"C","source":"narrator"}"#]]
    .assert_eq(&setup.logged("c").await.join("\n"));
    expect![[r#"
        narration user Hello?: Hello?
        narration narrator A: a
        suppressed narrator B: b
        narration narrator C: c
        narration user Hello?: Hello?
        suppressed narrator D: d"#]]
    .assert_eq(&setup.feed().await.join("\n"));
}

#[tokio::test]
async fn invalid_messages_are_refused() {
    let setup = Setup::new(FakeRelay::new([]));
    setup.register();
    let check = async |message: NarratorMessage, expected: &str| {
        let refused = setup
            .narrator
            .send(message, WaitFor::Answer)
            .await
            .expect_err("it is invalid");
        assert_eq!(refused.to_string(), expected);
    };
    let message = NarratorMessage {
        message: None,
        ..user_message("")
    };
    check(message, "message is required").await;
    check(user_message(" \n\u{2003}"), "message is required").await;
    check(
        user_message(&"x".repeat(262_145)),
        "the message has 262145 bytes, and 262144 are allowed",
    )
    .await;
    let message = NarratorMessage {
        workspace_id: None,
        ..user_message("a")
    };
    check(
        message,
        "key \"workspaceId\" must have 1 to 1024 bytes and a visible character",
    )
    .await;
    let message = NarratorMessage {
        agent_id: Some(String::new()),
        ..user_message("a")
    };
    check(
        message,
        "key \"agentId\" must have 1 to 64 bytes and a visible character",
    )
    .await;
    let conversation_id = Some("../x".to_owned());
    let message = NarratorMessage {
        conversation_id,
        ..user_message("a")
    };
    let refused = setup.narrator.send(message, WaitFor::Answer).await;
    assert!(matches!(refused, Err(NarratorError::InvalidRequest(_))), "{refused:?}");
    assert_eq!(setup.feed().await.len(), 0);
}

#[tokio::test]
async fn a_workspace_gets_a_new_conversation_after_its_own_was_deleted() {
    let relay = FakeRelay::new([]);
    let setup = Setup::new(relay.clone());
    setup.register();
    let message = || NarratorMessage {
        conversation_id: None,
        ..user_message("Hello?")
    };
    let first = setup
        .narrator
        .send(message(), WaitFor::Answer)
        .await
        .expect("it is answered");
    let again = setup
        .narrator
        .send(message(), WaitFor::Answer)
        .await
        .expect("it is answered");
    assert_eq!(first.conversation_id, again.conversation_id);
    setup
        .store
        .delete(&first.conversation_id)
        .await
        .expect("it can be deleted");
    let next = setup
        .narrator
        .send(message(), WaitFor::Answer)
        .await
        .expect("it is answered");
    assert_eq!(next.conversation_id, format!("{}-2", first.conversation_id));
    let feed = setup.narrator.feed(look("w")).await.expect("the feed can be read");
    assert_eq!(feed.conversation_id, next.conversation_id);
    let named = NarratorMessage {
        conversation_id: Some(first.conversation_id),
        ..user_message("Hello?")
    };
    let gone = setup.narrator.send(named, WaitFor::Answer).await;
    assert!(matches!(gone, Err(NarratorError::Store(_))), "{gone:?}");
    assert_eq!(
        relay.messages().len(),
        3,
        "no relay is asked for a deleted conversation"
    );
}

#[tokio::test]
async fn a_conversation_that_is_deleted_meanwhile_is_an_error() {
    let relay = FakeRelay::held([]);
    let setup = Setup::new(relay.clone());
    setup.register();
    relay.release(1);
    setup
        .narrator
        .send(user_message("one"), WaitFor::Answer)
        .await
        .expect("it is answered");
    let narrator = setup.narrator.clone();
    let sending = tokio::spawn(async move { narrator.send(user_message("two"), WaitFor::Answer).await });
    relay.received(2).await;
    setup.store.delete("c").await.expect("it can be deleted");
    relay.release(1);
    let gone = sending.await.expect("the task ends");
    assert!(matches!(gone, Err(NarratorError::Store(_))), "{gone:?}");
    let feed = setup.feed().await;
    assert_eq!(
        feed.last().map(String::as_str),
        Some("error system store_failed: conversation \"c\" was deleted")
    );
}

#[tokio::test]
async fn a_feed_can_be_limited_to_a_number_and_a_conversation() {
    let setup = Setup::new(FakeRelay::new([]));
    setup.register();
    for conversation in ["c", "d"] {
        let conversation_id = Some(conversation.to_owned());
        let message = NarratorMessage {
            conversation_id,
            ..user_message(conversation)
        };
        setup
            .narrator
            .send(message, WaitFor::Answer)
            .await
            .expect("it is answered");
    }
    let details = async |look: FeedQuery| -> Vec<String> {
        let feed = setup.narrator.feed(look).await.expect("the feed can be read");
        feed.events.into_iter().map(|event| event.detail).collect()
    };
    assert_eq!(
        details(FeedQuery { limit: 3, ..look("w") }).await,
        ["echo: d", "d", "echo: c"]
    );
    let conversation = Some("c".to_owned());
    assert_eq!(
        details(FeedQuery {
            conversation,
            ..look("w")
        })
        .await,
        ["echo: c", "c"]
    );
    assert_eq!(details(look("other")).await, [""; 0]);
}
