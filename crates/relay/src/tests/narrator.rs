//! The way of one message, whole and cut off.

use std::time::Duration;

use expect_test::expect;
use protocol::NarratorMessage;

use super::{Desk, look, said};
use crate::{FakeAnswer, FakeRelay, LeaseError, Look, NarratorError, RelayAnswer, RelayError, Remark, Waits};

fn says(text: &str) -> FakeAnswer {
    FakeAnswer::Says(RelayAnswer::text(text), Duration::ZERO)
}

#[tokio::test]
async fn a_message_is_answered_to_every_reader() {
    let relay = FakeRelay::new([says("All is well.\nReally.")]);
    let desk = Desk::new(relay.clone());
    desk.register();
    let accepted = desk
        .narrator
        .tell(said("How is it?"), Waits::ForTheAnswer)
        .await
        .expect("it is answered");
    assert_eq!(
        (accepted.workspace_id.as_str(), accepted.conversation_id.as_str()),
        ("w", "c")
    );
    expect![[r#"narration {"text":"All is well.\nReally.","headline":"All is well.","source":"narrator"}"#]]
        .assert_eq(&desk.logged("c").await.join("\n"));
    expect![[r#"
        narration user How is it?: How is it?
        narration narrator All is well.: All is well.
        Really."#]]
    .assert_eq(&desk.feed().await.join("\n"));
    let told = relay.messages();
    assert_eq!(
        (&told[0].task_id, &told[0].event_id),
        (&accepted.task_id, &accepted.event_id)
    );
    let raw = desk.narrator.raw(look("w")).await.expect("the log can be read");
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
async fn without_a_lease_nothing_is_asked_or_written() {
    let relay = FakeRelay::new([]);
    let desk = Desk::new(relay.clone());
    let refused = desk.narrator.tell(said("Hello?"), Waits::ForTheAnswer).await;
    assert!(
        matches!(refused, Err(NarratorError::Lease(LeaseError::NotRegistered { .. }))),
        "{refused:?}"
    );
    assert_eq!((relay.messages().len(), desk.feed().await.len()), (0, 0));
}

#[tokio::test]
async fn a_lease_that_ends_meanwhile_silences_the_answer() {
    let relay = FakeRelay::held([says("Too late.")]);
    let desk = Desk::new(relay.clone());
    desk.register();
    let (narrator, told) = (desk.narrator.clone(), relay.clone());
    let telling = tokio::spawn(async move { narrator.tell(said("Hello?"), Waits::ForTheAnswer).await });
    told.told(1).await;
    desk.hands.pass(60);
    relay.release(1);
    let refused = telling.await.expect("it is told");
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
    assert_eq!(desk.line_types().await, types);
    assert!(
        desk.store.conversation("c").await.expect("readable").is_none(),
        "nobody is told"
    );
}

#[tokio::test]
async fn a_lease_that_is_taken_over_meanwhile_is_one() {
    let relay = FakeRelay::held([]);
    let desk = Desk::new(relay.clone());
    let old = desk.register();
    let (narrator, told) = (desk.narrator.clone(), relay.clone());
    let telling = tokio::spawn(async move { narrator.tell(said("Hello?"), Waits::ForTheAnswer).await });
    told.told(1).await;
    let request = crate::LeaseRequest {
        agent_id: "controller".to_owned(),
        token: Some(old.token),
        ..crate::LeaseRequest::default()
    };
    desk.narrator.leases().register(request).expect("the token is right");
    relay.release(1);
    telling.await.expect("it is told").expect("and answered");
}

#[tokio::test]
async fn what_the_relay_fails_with_is_told_and_written() {
    let blank = FakeAnswer::Says(RelayAnswer::text(" \n"), Duration::ZERO);
    let nothing = FakeAnswer::Says(RelayAnswer { remarks: Vec::new() }, Duration::ZERO);
    let desk = Desk::new(FakeRelay::new([
        FakeAnswer::Fails("no luck".to_owned()),
        blank,
        nothing,
    ]));
    desk.register();
    for detail in [
        "no luck",
        "the relay's answer has no visible character",
        "the relay's answer has no visible character",
    ] {
        let failed = desk
            .narrator
            .tell(said("Hello?"), Waits::ForTheAnswer)
            .await
            .expect_err("it fails");
        assert!(
            matches!(failed, NarratorError::Relay(RelayError::Failed { .. })),
            "{failed:?}"
        );
        assert_eq!(failed.to_string(), detail);
        let feed = desk.feed().await;
        assert_eq!(
            feed.last().map(String::as_str),
            Some(format!("error system relay_failed: {detail}").as_str())
        );
    }
}

#[tokio::test]
async fn a_relay_that_hangs_is_given_up() {
    let desk = Desk::with(FakeRelay::new([FakeAnswer::Hangs]), |settings| {
        settings.relay_limit = Duration::from_millis(10);
    });
    desk.register();
    let given_up = desk
        .narrator
        .tell(said("Hello?"), Waits::ForTheAnswer)
        .await
        .expect_err("it hangs");
    assert_eq!(given_up.to_string(), "the relay didn't answer within 0.01 s");
    desk.narrator
        .tell(said("Hello?"), Waits::ForTheAnswer)
        .await
        .expect("the next one is tried afresh");
}

#[tokio::test]
async fn whoever_does_not_wait_is_answered_in_the_log() {
    let relay = FakeRelay::held([says("Later.")]);
    let desk = Desk::new(relay.clone());
    desk.register();
    let mut tail = desk.store.tail("c");
    let accepted = desk
        .narrator
        .tell(said("Hello?"), Waits::ForNothing)
        .await
        .expect("it is taken");
    assert_eq!(accepted.conversation_id, "c");
    relay.told(1).await;
    assert_eq!(desk.line_types().await, ["USER_MESSAGE"]);
    relay.release(1);
    tail.changed().await.expect("it is narrated");
    assert_eq!(desk.logged("c").await.len(), 1);
}

#[tokio::test]
async fn work_goes_on_when_nobody_waits_any_more() {
    let relay = FakeRelay::held([]);
    let desk = Desk::new(relay.clone());
    desk.register();
    let mut tail = desk.store.tail("c");
    let (narrator, told) = (desk.narrator.clone(), relay.clone());
    let telling = tokio::spawn(async move { narrator.tell(said("Hello?"), Waits::ForTheAnswer).await });
    told.told(1).await;
    telling.abort();
    relay.release(1);
    tail.changed().await.expect("it is narrated");
}

#[tokio::test]
async fn only_so_many_are_worked_on_at_once() {
    let relay = FakeRelay::held([]);
    let desk = Desk::new(relay.clone());
    desk.register();
    for _ in 0..64 {
        desk.narrator
            .tell(said("Hello?"), Waits::ForNothing)
            .await
            .expect("there is room");
    }
    let refused = desk.narrator.tell(said("Hello?"), Waits::ForNothing).await;
    assert!(matches!(refused, Err(NarratorError::Busy { limit: 64 })), "{refused:?}");
}

#[tokio::test]
async fn several_remarks_and_some_that_are_not_said() {
    let remark = |text: &str, suppressed| Remark {
        text: text.to_owned(),
        headline: Some(text.to_uppercase()),
        playbook_id: Some("p".to_owned()),
        suppressed,
    };
    let remarks = vec![remark("a", false), remark("b", true), remark("c", false)];
    let desk = Desk::new(FakeRelay::new([
        FakeAnswer::Says(RelayAnswer { remarks }, Duration::ZERO),
        FakeAnswer::Says(
            RelayAnswer {
                remarks: vec![remark("d", true)],
            },
            Duration::ZERO,
        ),
    ]));
    desk.register();
    for _ in 0..2 {
        desk.narrator
            .tell(said("Hello?"), Waits::ForTheAnswer)
            .await
            .expect("it is answered");
    }
    expect![[r#"
        narration {"text":"a","headline":"A","source":"narrator"}
        narration {"text":"c","headline":"C","source":"narrator"}"#]]
    .assert_eq(&desk.logged("c").await.join("\n"));
    expect![[r#"
        narration user Hello?: Hello?
        narration narrator A: a
        suppressed narrator B: b
        narration narrator C: c
        narration user Hello?: Hello?
        suppressed narrator D: d"#]]
    .assert_eq(&desk.feed().await.join("\n"));
}

#[tokio::test]
async fn what_makes_no_sense_is_named() {
    let desk = Desk::new(FakeRelay::new([]));
    desk.register();
    let check = async |message: NarratorMessage, expected: &str| {
        let refused = desk
            .narrator
            .tell(message, Waits::ForTheAnswer)
            .await
            .expect_err("it makes no sense");
        assert_eq!(refused.to_string(), expected);
    };
    let message = NarratorMessage {
        message: None,
        ..said("")
    };
    check(message, "message is required").await;
    check(said(" \n\u{2003}"), "message is required").await;
    check(
        said(&"x".repeat(262_145)),
        "the message has 262145 bytes, and 262144 are allowed",
    )
    .await;
    let message = NarratorMessage {
        workspace_id: None,
        ..said("a")
    };
    check(
        message,
        "key \"workspaceId\" must have 1 to 1024 bytes and a visible character",
    )
    .await;
    let message = NarratorMessage {
        agent_id: Some(String::new()),
        ..said("a")
    };
    check(
        message,
        "key \"agentId\" must have 1 to 64 bytes and a visible character",
    )
    .await;
    let conversation_id = Some("../x".to_owned());
    let message = NarratorMessage {
        conversation_id,
        ..said("a")
    };
    let refused = desk.narrator.tell(message, Waits::ForTheAnswer).await;
    assert!(matches!(refused, Err(NarratorError::InvalidRequest(_))), "{refused:?}");
    assert_eq!(desk.feed().await.len(), 0);
}

#[tokio::test]
async fn a_workspace_has_a_conversation_of_its_own_also_after_it_was_deleted() {
    let relay = FakeRelay::new([]);
    let desk = Desk::new(relay.clone());
    desk.register();
    let message = || NarratorMessage {
        conversation_id: None,
        ..said("Hello?")
    };
    let first = desk
        .narrator
        .tell(message(), Waits::ForTheAnswer)
        .await
        .expect("it is answered");
    let again = desk
        .narrator
        .tell(message(), Waits::ForTheAnswer)
        .await
        .expect("it is answered");
    assert_eq!(first.conversation_id, again.conversation_id);
    desk.store
        .delete(&first.conversation_id)
        .await
        .expect("it can be deleted");
    let next = desk
        .narrator
        .tell(message(), Waits::ForTheAnswer)
        .await
        .expect("it is answered");
    assert_eq!(next.conversation_id, format!("{}-2", first.conversation_id));
    let feed = desk.narrator.feed(look("w")).await.expect("the feed can be read");
    assert_eq!(feed.conversation_id, next.conversation_id);
    let named = NarratorMessage {
        conversation_id: Some(first.conversation_id),
        ..said("Hello?")
    };
    let gone = desk.narrator.tell(named, Waits::ForTheAnswer).await;
    assert!(matches!(gone, Err(NarratorError::Store(_))), "{gone:?}");
    assert_eq!(
        relay.messages().len(),
        3,
        "nobody is asked in a conversation that was deleted"
    );
}

#[tokio::test]
async fn a_conversation_that_is_deleted_meanwhile_ends_in_an_error() {
    let relay = FakeRelay::held([]);
    let desk = Desk::new(relay.clone());
    desk.register();
    relay.release(1);
    desk.narrator
        .tell(said("one"), Waits::ForTheAnswer)
        .await
        .expect("it is answered");
    let (narrator, told) = (desk.narrator.clone(), relay.clone());
    let telling = tokio::spawn(async move { narrator.tell(said("two"), Waits::ForTheAnswer).await });
    told.told(2).await;
    desk.store.delete("c").await.expect("it can be deleted");
    relay.release(1);
    let gone = telling.await.expect("it is told");
    assert!(matches!(gone, Err(NarratorError::Store(_))), "{gone:?}");
    let feed = desk.feed().await;
    assert_eq!(
        feed.last().map(String::as_str),
        Some("error system store_failed: conversation \"c\" was deleted")
    );
}

#[tokio::test]
async fn a_feed_is_limited_and_may_be_of_one_conversation() {
    let desk = Desk::new(FakeRelay::new([]));
    desk.register();
    for conversation in ["c", "d"] {
        let conversation_id = Some(conversation.to_owned());
        let message = NarratorMessage {
            conversation_id,
            ..said(conversation)
        };
        desk.narrator
            .tell(message, Waits::ForTheAnswer)
            .await
            .expect("it is answered");
    }
    let details = async |look: Look| -> Vec<String> {
        let feed = desk.narrator.feed(look).await.expect("the feed can be read");
        feed.events.into_iter().map(|event| event.detail).collect()
    };
    assert_eq!(
        details(Look { limit: 3, ..look("w") }).await,
        ["echo: d", "d", "echo: c"]
    );
    let conversation = Some("c".to_owned());
    assert_eq!(
        details(Look {
            conversation,
            ..look("w")
        })
        .await,
        ["echo: c", "c"]
    );
    assert_eq!(details(look("other")).await, [""; 0]);
}
