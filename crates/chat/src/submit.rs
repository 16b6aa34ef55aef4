//! Checks commands, drafts their turns, and submits them to their conversations' queues.
//!
//! Commands go in; a [`TurnHandle`] comes out once the turn is on disk. It never runs a turn.

use agent_store::{Agent, AgentId};
use conversation_store::{Parent, StoreError};
use protocol::{Limits, ProtocolError, check_conversation_id, check_turn_id};
use uuid::Uuid;

use crate::command::{RegenerateCommand, TurnCommand, TurnHandle};
use crate::error::ChatError;
use crate::start::{StartCommand, TurnDraft};
use crate::{Shared, options};

/// The largest whole number that every JSON reader keeps exactly, as a mask of random bits.
const SEED_BITS: u64 = (1 << 53) - 1;

/// Starts a turn, or joins the one that the command repeats.
pub(crate) async fn start_turn(shared: &Shared, command: TurnCommand) -> Result<TurnHandle, ChatError> {
    check(&command)?;
    let body_hash = command.body_hash();
    if let (Some(conversation), Some(turn_id)) = (&command.conversation_id, &command.turn_id)
        && let Some(joined) = join(shared, conversation, turn_id, &body_hash).await?
    {
        return Ok(joined);
    }
    let parent = parent(shared, &command).await?;
    submit(shared, draft(shared, command, parent, body_hash).await?).await
}

/// Starts a sibling of a turn, with the same user text and the same agent.
pub(crate) async fn regenerate(shared: &Shared, command: RegenerateCommand) -> Result<TurnHandle, ChatError> {
    let conversation = &command.conversation_id;
    check_conversation_id(conversation)?;
    check_turn_id(&command.turn_id)?;
    command.new_turn_id.as_deref().map_or(Ok(()), check_turn_id)?;
    let body_hash = command.body_hash();
    if let Some(new_turn_id) = &command.new_turn_id
        && let Some(joined) = join(shared, conversation, new_turn_id, &body_hash).await?
    {
        return Ok(joined);
    }
    let turn = shared.services.store.turn(conversation, &command.turn_id).await?;
    let turn = turn.ok_or_else(|| ChatError::turn_not_found(conversation, &command.turn_id))?;
    let parent = turn.parent_turn_id.map_or(Parent::Root, Parent::Turn);
    let command = TurnCommand {
        agent_id: turn.agent_id,
        conversation_id: Some(command.conversation_id),
        turn_id: command.new_turn_id,
        message: turn.user_text,
        hello_options: command.hello_options,
        options: command.options,
        tools: command.tools,
        ..TurnCommand::default()
    };
    submit(shared, draft(shared, command, parent, body_hash).await?).await
}

/// Submits a turn to its conversation's queue, and waits until it is on disk.
async fn submit(shared: &Shared, draft: TurnDraft) -> Result<TurnHandle, ChatError> {
    let (command, result) = StartCommand::new(draft);
    shared.queues.submit(command)?;
    result.await.map_err(|_| ChatError::Gone)?
}

/// Reads an agent, on a thread that may block.
pub(crate) async fn agent(shared: &Shared, agent_id: &str) -> Result<Agent, ChatError> {
    let (agents, id) = (shared.agents.clone(), AgentId::parse(agent_id)?);
    let agent = tokio::task::spawn_blocking(move || agents.get(&id)).await;
    Ok(agent.map_err(|_| ChatError::Gone)??)
}

/// Checks the parts of a command that need no store.
fn check(command: &TurnCommand) -> Result<(), ChatError> {
    command
        .conversation_id
        .as_deref()
        .map_or(Ok(()), check_conversation_id)?;
    command.turn_id.as_deref().map_or(Ok(()), check_turn_id)?;
    command.parent_turn_id.as_deref().map_or(Ok(()), check_turn_id)?;
    command.edit_turn_id.as_deref().map_or(Ok(()), check_turn_id)?;
    if command.parent_turn_id.is_some() && command.edit_turn_id.is_some() {
        return Err(ChatError::InvalidRequest(ProtocolError::Exclusive {
            first: "parentTurnId",
            second: "editTurnId",
        }));
    }
    let limit = usize::try_from(Limits::default().message_bytes).unwrap_or(usize::MAX);
    if command.message.len() > limit {
        return Err(ChatError::MessageTooLarge {
            bytes: command.message.len(),
            limit,
        });
    }
    if command.message.trim().is_empty() {
        return Err(ChatError::BlankMessage);
    }
    Ok(())
}

/// Finds the turn that a command repeats. It is joined even if the queue is full, the agent gone, or the chat draining.
async fn join(
    shared: &Shared,
    conversation: &str,
    turn_id: &str,
    body_hash: &str,
) -> Result<Option<TurnHandle>, ChatError> {
    let Some(turn) = shared.services.store.turn(conversation, turn_id).await? else {
        return Ok(None);
    };
    if turn.body_hash != body_hash {
        let (conversation, turn_id) = (conversation.to_owned(), turn_id.to_owned());
        return Err(StoreError::DuplicateTurn { conversation, turn_id }.into());
    }
    Ok(Some(TurnHandle {
        conversation_id: turn.conversation,
        turn_id: turn.turn_id,
        first_seq: turn.first_seq,
        joined: true,
    }))
}

/// Finds a message's place in the tree: beside the turn that it edits, below the one that it names, or below the head.
async fn parent(shared: &Shared, command: &TurnCommand) -> Result<Parent, ChatError> {
    let Some(edited) = &command.edit_turn_id else {
        return Ok(command.parent_turn_id.clone().map_or(Parent::Head, Parent::Turn));
    };
    let found = match &command.conversation_id {
        Some(conversation) => shared.services.store.turn(conversation, edited).await?,
        None => None,
    };
    let turn = found.ok_or_else(|| ChatError::ParentNotFound {
        key: "editTurnId",
        conversation: command.conversation_id.clone().unwrap_or_default(),
        turn_id: edited.clone(),
    })?;
    Ok(turn.parent_turn_id.map_or(Parent::Root, Parent::Turn))
}

/// Resolves agent, options, models and tools of a command.
async fn draft(
    shared: &Shared,
    command: TurnCommand,
    parent: Parent,
    body_hash: String,
) -> Result<TurnDraft, ChatError> {
    let agent = agent(shared, &command.agent_id).await?;
    let agent_patch = options::agent_patch(&agent)?;
    let tools = match command.tools {
        Some(tools) => tools,
        None => options::agent_tools(&agent)?,
    };
    let requested = command.options.over(command.hello_options);
    let models = options::candidates(&requested.model, &agent, &agent_patch, &shared.services.models)?;
    let first = models.first().map(String::as_str).unwrap_or_default();
    let info = shared.services.models.info(first);
    let options = options::merge(
        requested.over(agent_patch),
        &shared.services.settings,
        first,
        info.as_ref(),
    );
    Ok(TurnDraft {
        conversation: command.conversation_id.unwrap_or_else(|| Uuid::now_v7().to_string()),
        turn_id: command.turn_id.unwrap_or_else(|| Uuid::now_v7().to_string()),
        parent,
        message: command.message,
        body_hash,
        agent,
        seed: options
            .seed
            .unwrap_or_else(|| Uuid::new_v4().as_u64_pair().1 & SEED_BITS),
        options,
        models,
        tools,
    })
}
