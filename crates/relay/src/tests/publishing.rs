//! Events that controllers publish.

use expect_test::expect;
use protocol::ControllerEvents;

use super::{Setup, register};
use crate::{FakeRelay, LeaseError, NarratorError};

fn events() -> ControllerEvents {
    let body = r#"{"conversationId": "c", "events": [
        {"type": "step-start", "step": 1, "title": "Build"},
        {"type": "step", "step": 1},
        {"type": "tool", "callId": "1", "name": "make", "payload": {"target": "all"}},
        {"type": "tool-output", "callId": "1", "name": "make", "payload": "ok"},
        {"type": "step-finish", "step": 1, "payload": {"ok": true}},
        {"type": "summary", "text": "It builds."},
        {"type": "narration", "text": "It builds!", "source": "agent"}
    ]}"#;
    ControllerEvents::parse(body.as_bytes()).expect("the body is valid")
}

#[tokio::test]
async fn a_controllers_events_reach_readers_and_the_workspace() {
    let setup = Setup::with(FakeRelay::new([]), |settings| settings.summary_refresh = 9);
    let lease = register(setup.narrator.leases(), Some("w"));
    let published = setup
        .narrator
        .publish(&lease.registration_id, &lease.token, events())
        .await;
    let published = published.expect("the token is right");
    assert_eq!((published.first_seq, published.last_seq), (1, 7));
    expect![[r#"
        step-start {"step":1,"title":"Build"}
        step {"step":1}
        tool {"callId":"1","name":"make","payload":{"target":"all"}}
        tool-output {"callId":"1","name":"make","payload":"ok"}
        step-finish {"step":1,"payload":{"ok":true}}
        summary {"text":"It builds."}
        narration {"text":"It builds!","source":"agent"}"#]]
    .assert_eq(&setup.logged("c").await.join("\n"));
    expect![[r#"
        agent-update agent Build: Build
        agent-update agent Step 1 goes on: Step 1 goes on
        agent-update agent Asks for make: {"target":"all"}
        agent-result agent Output of make: "ok"
        agent-result agent Step 1 is over: {"ok":true}
        agent-result agent It builds.: It builds.
        narration agent It builds!: It builds!"#]]
    .assert_eq(&setup.feed().await.join("\n"));
}

#[tokio::test]
async fn without_a_workspace_only_the_conversation_has_the_events() {
    let setup = Setup::new(FakeRelay::new([]));
    let lease = setup.register();
    setup
        .narrator
        .publish(&lease.registration_id, &lease.token, events())
        .await
        .expect("the token is right");
    assert_eq!((setup.logged("c").await.len(), setup.feed().await.len()), (7, 0));
}

#[tokio::test]
async fn only_the_holder_of_the_lease_may_publish() {
    let setup = Setup::new(FakeRelay::new([]));
    let lease = setup.register();
    let publish = async |token: &str| setup.narrator.publish(&lease.registration_id, token, events()).await;
    let wrong = publish("guessed").await;
    assert!(
        matches!(wrong, Err(NarratorError::Lease(LeaseError::WrongToken { .. }))),
        "{wrong:?}"
    );
    setup.clock.advance(60);
    let late = publish(&lease.token).await;
    assert!(
        matches!(late, Err(NarratorError::Lease(LeaseError::Over { .. }))),
        "{late:?}"
    );
    assert!(setup.store.conversation("c").await.expect("readable").is_none());
}

#[tokio::test]
async fn an_unknown_turn_is_refused() {
    let setup = Setup::new(FakeRelay::new([]));
    let lease = register(setup.narrator.leases(), Some("w"));
    let events = ControllerEvents {
        turn_id: Some("t".to_owned()),
        ..events()
    };
    let refused = setup
        .narrator
        .publish(&lease.registration_id, &lease.token, events)
        .await;
    assert!(matches!(refused, Err(NarratorError::Store(_))), "{refused:?}");
    assert_eq!(setup.feed().await.len(), 0, "and the workspace's log doesn't have them");
}
