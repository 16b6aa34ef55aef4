//! Recovery after a restart: turns that waited for a tool are resumed, the others get their terminal event.

use std::sync::{Arc, Mutex};

use conversation_store::{EndTurn, NewEvent, Turn};

use crate::agent_snapshot::AgentSnapshot;
use crate::tool_rounds::ToolRounds;
use crate::turn::TurnContext;
use crate::turn::ending::Ending;
use crate::{ChatError, Shared, options, start};

/// Resumes or interrupts each unfinished turn; returns the number of interrupted ones.
pub(crate) async fn recover(shared: &Arc<Shared>) -> Result<usize, ChatError> {
    let mut interrupted = 0;
    for turn in shared.store.running().await? {
        if let Some(context) = resumable_turn(shared, &turn).await?
            && start::resume(shared, context)
        {
            continue;
        }
        interrupt(shared, turn).await?;
        interrupted += 1;
    }
    Ok(interrupted)
}

/// Rebuilds a turn that waited for a tool; returns `None` if it didn't, or if a part of it can't be read.
async fn resumable_turn(shared: &Arc<Shared>, turn: &Turn) -> Result<Option<TurnContext>, ChatError> {
    let Some(rounds) = ToolRounds::resumable_in(turn) else {
        return Ok(None);
    };
    let snapshot = shared.store.agent_snapshot(&turn.agent_hash).await?;
    let snapshot = snapshot.and_then(|json| serde_json::from_str::<AgentSnapshot>(&json).ok());
    let effective = serde_json::from_str(&turn.options_json).ok();
    let (Some(snapshot), Some(effective)) = (snapshot, effective) else {
        return Ok(None);
    };
    Ok(Some(TurnContext {
        shared: Arc::clone(shared),
        conversation: turn.conversation.clone(),
        turn_id: turn.turn_id.clone(),
        key: turn.key,
        system: snapshot.system(),
        options: options::of_effective(effective),
        seed: turn.seed,
        models: vec![rounds.model.clone()],
        tools: rounds.tools.clone(),
        open_outputs: Mutex::new(shared.open_calls(&turn.conversation, &turn.turn_id, &rounds)),
        resumed: Some(rounds),
    }))
}

/// Ends a turn as interrupted.
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
