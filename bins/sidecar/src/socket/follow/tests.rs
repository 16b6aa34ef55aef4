use std::sync::Arc;

use conversation_store::{AppendEvents, ConversationStore, NewEvent, NewTurn, Parent};
use protocol::Limits;
use tokio::sync::watch;
use tokio::task::yield_now;

use super::Reading;
use crate::socket::outbound::queue;

/// A log of three events.
async fn write_log(store: &ConversationStore) {
    let question = NewTurn {
        conversation: "c".to_owned(),
        turn_id: "t".to_owned(),
        parent: Parent::Head,
        user_text: "Hello?".to_owned(),
        agent_id: "planner".to_owned(),
        agent_hash: "1".to_owned(),
        agent_json: "{}".to_owned(),
        options_json: "{}".to_owned(),
        seed: 7,
        body_hash: "2".to_owned(),
        event: NewEvent::new("user", 0, "{}"),
    };
    let turn = store.begin_turn(question).await.expect("the turn is stored").key;
    let tokens = ["a", "b"].map(|text| NewEvent::new("token", 1, format!(r#"{{"token":"{text}"}}"#)));
    let append = AppendEvents::new("c", turn, tokens.into());
    store.append(append).await.expect("the tokens are stored");
}

#[test]
fn a_reader_that_waits_for_its_peer_has_sent_no_more_than_it_says() {
    actix_web::rt::System::new().block_on(async {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let store = ConversationStore::open(folder.path()).expect("the store opens");
        write_log(&store).await;
        // Room for one frame, and nobody who takes it.
        let limits = Limits {
            outbound_frames: 1,
            ..Limits::default()
        };
        let (outbound, _queue) = queue(&limits);
        let (_ending, ending) = watch::channel(false);
        let owners = Arc::default();
        let follower = Reading {
            store,
            outbound,
            owners,
            ending,
        }
        .start("c".to_owned(), 0);
        while follower.position() == 0 {
            yield_now().await;
        }
        assert_eq!(follower.position(), 1);
    });
}
