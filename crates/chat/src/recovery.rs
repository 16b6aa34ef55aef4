//! After a crash: turns that were running get their terminal event.

use conversation_store::{EndTurn, NewEvent};

use crate::turn::ending::Ending;
use crate::{ChatError, Shared};

pub(crate) async fn recover(shared: &Shared) -> Result<usize, ChatError> {
    let turns = shared.store.running().await?;
    let recovered = turns.len();
    for turn in turns {
        let ending = Ending::Interrupted;
        let event = ending.event();
        let end = EndTurn {
            conversation: turn.conversation,
            turn: turn.key,
            state: ending.state(),
            answer_text: None,
            answer_ids: None,
            event: NewEvent {
                kind: event.kind().to_owned(),
                at_ms: (shared.settings.clock)(),
                json: event.fields(),
            },
        };
        shared.store.end_turn(end).await?;
    }
    Ok(recovered)
}
