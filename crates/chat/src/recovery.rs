//! Recovery after a restart: turns that waited for a tool are resumed, the others get their terminal event.

use std::sync::Arc;

use conversation_store::{EndTurn, NewEvent, Turn};

use crate::agent_snapshot::AgentSnapshot;
use crate::error::ChatError;
use crate::options;
use crate::services::TurnServices;
use crate::start::StartCommand;
use crate::tool_rounds::ToolRounds;
use crate::turn::ending::Ending;
use crate::turn::{ReadyTurn, ResumedRounds, TurnContext};
use crate::turn_queue::TurnQueues;

/// Resumes or interrupts each unfinished turn; returns the number of interrupted ones.
pub(crate) async fn recover(services: &Arc<TurnServices>, queues: &TurnQueues) -> Result<usize, ChatError> {
    let mut interrupted = 0;
    for turn in services.store.running().await? {
        if let Some(ready) = resumable_turn(services, &turn).await?
            && queues.submit(StartCommand::Resume(Box::new(ready))).is_ok()
        {
            continue;
        }
        interrupt(services, turn).await?;
        interrupted += 1;
    }
    Ok(interrupted)
}

/// Rebuilds a turn that waited for a tool; returns `None` if it didn't, or if a part of it can't be read.
async fn resumable_turn(services: &Arc<TurnServices>, turn: &Turn) -> Result<Option<ReadyTurn>, ChatError> {
    let Some(rounds) = ToolRounds::resumable_in(turn) else {
        return Ok(None);
    };
    let snapshot = services.store.agent_snapshot(&turn.agent_hash).await?;
    let snapshot = snapshot.and_then(|json| serde_json::from_str::<AgentSnapshot>(&json).ok());
    let effective = serde_json::from_str(&turn.options_json).ok();
    let (Some(snapshot), Some(effective)) = (snapshot, effective) else {
        return Ok(None);
    };
    let context = TurnContext {
        services: Arc::clone(services),
        conversation: turn.conversation.clone(),
        turn_id: turn.turn_id.clone(),
        key: turn.key,
        system: snapshot.system(),
        options: options::of_effective(effective),
        seed: turn.seed,
        models: vec![rounds.model.clone()],
        tools: rounds.tools.clone(),
    };
    let outputs = services.open_calls(&turn.conversation, &turn.turn_id, &rounds);
    Ok(Some(ReadyTurn {
        context: Arc::new(context),
        resumed: Some(ResumedRounds { rounds, outputs }),
    }))
}

/// Ends a turn as interrupted.
async fn interrupt(services: &TurnServices, turn: Turn) -> Result<(), ChatError> {
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
            at_ms: services.now_ms(),
            json: event.fields(),
        },
    };
    services.store.end_turn(end).await?;
    Ok(())
}
