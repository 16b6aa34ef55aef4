//! After a crash or a stop: turns that waited for a tool go on, and the others get their terminal event.

use std::sync::{Arc, Mutex};

use conversation_store::{EndTurn, NewEvent, Turn};

use crate::rounds::Record;
use crate::system::Snapshot;
use crate::turn::Live;
use crate::turn::ending::Ending;
use crate::{ChatError, Shared, options, start};

pub(crate) async fn recover(shared: &Arc<Shared>) -> Result<usize, ChatError> {
    let mut interrupted = 0;
    for turn in shared.store.running().await? {
        if let Some(live) = cut_off_in_a_call(shared, &turn).await?
            && start::take_up(shared, live)
        {
            continue;
        }
        interrupt(shared, turn).await?;
        interrupted += 1;
    }
    Ok(interrupted)
}

/// The turn as it was when it was cut off, if all that it needs is there.
async fn cut_off_in_a_call(shared: &Arc<Shared>, turn: &Turn) -> Result<Option<Live>, ChatError> {
    let Some(record) = Record::open_in(turn) else {
        return Ok(None);
    };
    let snapshot = shared.store.agent_snapshot(&turn.agent_hash).await?;
    let snapshot = snapshot.and_then(|json| serde_json::from_str::<Snapshot>(&json).ok());
    let effective = serde_json::from_str(&turn.options_json).ok();
    let (Some(snapshot), Some(effective)) = (snapshot, effective) else {
        return Ok(None);
    };
    Ok(Some(Live {
        shared: Arc::clone(shared),
        conversation: turn.conversation.clone(),
        turn_id: turn.turn_id.clone(),
        key: turn.key,
        system: snapshot.system(),
        options: options::of_effective(effective),
        seed: turn.seed,
        models: vec![record.model.clone()],
        tools: record.tools.clone(),
        waiting: Mutex::new(shared.open_calls(&turn.conversation, &turn.turn_id, &record)),
        resumed: Some(record),
    }))
}

async fn interrupt(shared: &Shared, turn: Turn) -> Result<(), ChatError> {
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
    Ok(())
}
