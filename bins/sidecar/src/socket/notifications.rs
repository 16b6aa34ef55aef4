//! Events about a socket's own turns that are in no log: the queue position, and failures to persist a turn's end.
//!
//! Each is sent by a task that ends with its turn, or with the socket.

use protocol::{Envelope, Queued, ServerEvent};

use super::connection::Connection;
use crate::turn_owners::TurnRef;

impl Connection {
    /// Sends how many turns are ahead of a waiting one, now and whenever that changes.
    pub(super) fn notify_queue_position(&self, turn: &TurnRef) {
        let Some(mut queue) = self.state.chat.queue_position(&turn.conversation, &turn.turn_id) else {
            return;
        };
        let (outbound, about) = (self.outbound.clone(), about(turn));
        actix_web::rt::spawn(async move {
            let mut ahead = Some(queue.ahead());
            while let Some(turns) = ahead {
                let event = ServerEvent::Queued(Queued {
                    ahead: u32::try_from(turns).unwrap_or(u32::MAX),
                });
                if turns > 0 && outbound.text(event.frame(&about)).await.is_err() {
                    return;
                }
                ahead = queue.changed().await;
            }
        });
    }

    /// Sends why a turn's end can't be written, whenever that happens.
    pub(super) fn notify_persist_failures(&self, turn: &TurnRef) {
        let Some(mut trouble) = self.state.chat.persist_failure(&turn.conversation, &turn.turn_id) else {
            return;
        };
        let (outbound, about) = (self.outbound.clone(), about(turn));
        actix_web::rt::spawn(async move {
            while let Some(error) = trouble.next().await {
                if outbound.text(ServerEvent::Error(error).frame(&about)).await.is_err() {
                    return;
                }
            }
        });
    }
}

fn about(turn: &TurnRef) -> Envelope {
    Envelope {
        conversation_id: Some(turn.conversation.clone()),
        turn_id: Some(turn.turn_id.clone()),
        ..Envelope::default()
    }
}
