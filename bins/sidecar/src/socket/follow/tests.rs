use std::sync::Arc;
use std::time::Duration;

use conversation_store::{AppendEvents, ConversationStore, NewEvent, NewTurn, Parent};
use protocol::Limits;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::LogReader;
use crate::socket::outbound::outbound_queue;

/// Writes a log of three events.
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
fn the_position_counts_only_frames_that_the_queue_took() {
    actix_web::rt::System::new().block_on(async {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let store = ConversationStore::open(folder.path()).expect("the store opens");
        write_log(&store).await;
        // Room for one frame, and no task that takes it.
        let limits = Limits {
            outbound_frames: 1,
            ..Limits::default()
        };
        let (outbound, _queue) = outbound_queue(&limits);
        let (_ending, ending) = watch::channel(false);
        let owners = Arc::default();
        let follower = LogReader {
            store,
            outbound,
            owners,
            ending,
        }
        .start("c".to_owned(), 0);
        let first_frame = async {
            while follower.position() == 0 {
                yield_now().await;
            }
        };
        let sent = timeout(Duration::from_secs(30), first_frame).await;
        sent.expect("the reader sends the first frame");
        assert_eq!(follower.position(), 1);
    });
}
