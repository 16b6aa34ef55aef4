//! Starts turns: a command is checked, waits for its conversation's queue, and becomes a turn in the log.
//!
//! Commands go in; a [`TurnHandle`] comes out once the turn is on disk. It never runs a turn.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use agent_store::{Agent, AgentId};
use conversation_store::{Begun, NewEvent, NewTurn, Parent, StoreError};
use protocol::{Limits, ProtocolError, ServerEvent, ToolDefinition, User, check_conversation_id, check_turn_id};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::agent_snapshot::AgentSnapshot;
use crate::options::{self, MergedOptions};
use crate::turn::TurnContext;
use crate::turn_queue::{QueuePermit, QueuedTurn, Reservation, StopSignal};
use crate::{ChatError, RegenerateCommand, Shared, TurnCommand, TurnHandle};

/// The largest whole number that every JSON reader keeps exactly, as a mask of random bits.
const SEED_BITS: u64 = (1 << 53) - 1;

/// A command to a conversation's queue.
pub(crate) enum StartCommand {
    /// Inserts a new turn and queues it.
    New(Box<SubmittedDraft>),
    /// Queues a stored turn that a restart cut off while it waited for tools.
    Resume {
        permit: QueuePermit,
        stop: watch::Receiver<StopSignal>,
        context: Box<TurnContext>,
    },
}

/// A checked command on its way through the queue.
pub(crate) struct SubmittedDraft {
    permit: QueuePermit,
    stop: watch::Receiver<StopSignal>,
    draft: TurnDraft,
    /// Gets the result of the insertion.
    reply: oneshot::Sender<Result<TurnHandle, ChatError>>,
}

/// What is known of a turn before it is in the log.
#[derive(Debug)]
struct TurnDraft {
    conversation: String,
    turn_id: String,
    parent: Parent,
    message: String,
    body_hash: String,
    agent: Agent,
    options: MergedOptions,
    models: Vec<String>,
    tools: Vec<ToolDefinition>,
    seed: u64,
}

/// Starts a turn, or joins the one that the command repeats.
pub(crate) async fn start_turn(shared: &Arc<Shared>, command: TurnCommand) -> Result<TurnHandle, ChatError> {
    check(&command)?;
    let body_hash = command.body_hash();
    if let (Some(conversation), Some(turn_id)) = (&command.conversation_id, &command.turn_id)
        && let Some(joined) = join(shared, (conversation, turn_id), &body_hash).await?
    {
        return Ok(joined);
    }
    let parent = parent(shared, &command).await?;
    submit(shared, draft(shared, command, parent, body_hash).await?).await
}

/// Starts a sibling of a turn, with the same user text and the same agent.
pub(crate) async fn regenerate(shared: &Arc<Shared>, command: RegenerateCommand) -> Result<TurnHandle, ChatError> {
    let conversation = &command.conversation_id;
    check_conversation_id(conversation)?;
    check_turn_id(&command.turn_id)?;
    command.new_turn_id.as_deref().map_or(Ok(()), check_turn_id)?;
    let body_hash = command.body_hash();
    if let Some(new_turn_id) = &command.new_turn_id
        && let Some(joined) = join(shared, (conversation, new_turn_id), &body_hash).await?
    {
        return Ok(joined);
    }
    let turn = shared.store.turn(conversation, &command.turn_id).await?;
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
async fn submit(shared: &Arc<Shared>, draft: TurnDraft) -> Result<TurnHandle, ChatError> {
    let Reservation { permit, stop, starts } = shared.queues.reserve(shared, &draft.conversation, &draft.turn_id)?;
    let (reply, answer) = oneshot::channel();
    let new = SubmittedDraft {
        permit,
        stop,
        draft,
        reply,
    };
    starts
        .try_send(StartCommand::New(Box::new(new)))
        .map_err(|_| ChatError::Gone)?;
    answer.await.map_err(|_| ChatError::Gone)?
}

/// Resumes a turn that a restart cut off while it waited for tools; returns false if the queue refuses it.
pub(crate) fn resume(shared: &Arc<Shared>, context: TurnContext) -> bool {
    let Ok(Reservation { permit, stop, starts }) =
        shared.queues.reserve(shared, &context.conversation, &context.turn_id)
    else {
        return false;
    };
    let context = Box::new(context);
    starts.try_send(StartCommand::Resume { permit, stop, context }).is_ok()
}

/// Reads an agent, on a thread that may block.
pub(crate) async fn agent(shared: &Shared, agent_id: &str) -> Result<Agent, ChatError> {
    let (agents, id) = (shared.agents.clone(), AgentId::parse(agent_id)?);
    let agent = tokio::task::spawn_blocking(move || agents.get(&id)).await;
    Ok(agent.map_err(|_| ChatError::Gone)??)
}

/// Queues a turn, once it is in the log. Returns `None` if there is none to run.
pub(crate) async fn start_queued(shared: &Arc<Shared>, command: StartCommand) -> Option<QueuedTurn> {
    match command {
        StartCommand::New(new) => start_new(shared, *new).await,
        StartCommand::Resume { permit, stop, context } => Some(QueuedTurn::new(Arc::new(*context), permit, stop)),
    }
}

/// Inserts a new turn and queues it. It runs in its queue's task, so turns are inserted one after the other.
async fn start_new(shared: &Arc<Shared>, new: SubmittedDraft) -> Option<QueuedTurn> {
    let SubmittedDraft {
        permit,
        stop,
        draft,
        reply,
    } = new;
    let system = AgentSnapshot::of(&draft.agent).system();
    let begun = match insert_turn(shared, &draft).await {
        Ok(begun) => begun,
        Err(error) => {
            // The caller may be gone; then the answer is not needed.
            let _unread = reply.send(Err(error));
            return None;
        }
    };
    let handle = TurnHandle {
        conversation_id: draft.conversation.clone(),
        turn_id: draft.turn_id.clone(),
        first_seq: begun.first_seq,
        joined: begun.joined,
    };
    // The turn runs even if the caller is gone.
    let _unread = reply.send(Ok(handle));
    if begun.joined {
        return None;
    }
    let context = TurnContext {
        shared: Arc::clone(shared),
        conversation: draft.conversation,
        turn_id: draft.turn_id,
        key: begun.key,
        system,
        options: draft.options.engine,
        seed: draft.seed,
        models: draft.models,
        tools: draft.tools,
        resumed: None,
        open_outputs: Mutex::default(),
    };
    Some(QueuedTurn::new(Arc::new(context), permit, stop))
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
    (conversation, turn_id): (&str, &str),
    body_hash: &str,
) -> Result<Option<TurnHandle>, ChatError> {
    let Some(turn) = shared.store.turn(conversation, turn_id).await? else {
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
        Some(conversation) => shared.store.turn(conversation, edited).await?,
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
    let models = options::candidates(&requested.model, &agent, &agent_patch, &shared.models)?;
    let first = models.first().map(String::as_str).unwrap_or_default();
    let info = shared.models.info(first);
    let options = options::merge(requested.over(agent_patch), &shared.settings, first, info.as_ref());
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

/// Inserts the turn with its `user` event into the store.
async fn insert_turn(shared: &Shared, draft: &TurnDraft) -> Result<Begun, ChatError> {
    let parent_turn_id = match &draft.parent {
        Parent::Turn(turn_id) => Some(turn_id.clone()),
        Parent::Root => None,
        Parent::Head => {
            let conversation = shared.store.conversation(&draft.conversation).await?;
            conversation.and_then(|found| found.head_turn_id)
        }
    };
    let user = ServerEvent::User(User {
        text: draft.message.clone(),
        agent_id: draft.agent.id.to_string(),
        agent_hash: draft.agent.hash.clone(),
        options: draft.options.effective.clone(),
        seed: draft.seed,
        parent_turn_id: parent_turn_id.clone(),
    });
    let turn = NewTurn {
        conversation: draft.conversation.clone(),
        turn_id: draft.turn_id.clone(),
        // Named even when it is the head, so that the event and the stored turn agree.
        parent: parent_turn_id.map_or(Parent::Root, Parent::Turn),
        user_text: draft.message.clone(),
        agent_id: draft.agent.id.to_string(),
        agent_hash: draft.agent.hash.clone(),
        agent_json: AgentSnapshot::of(&draft.agent).to_json(),
        options_json: serde_json::to_string(&draft.options.effective).expect("options have string keys only"),
        seed: draft.seed,
        body_hash: draft.body_hash.clone(),
        event: NewEvent {
            kind: user.kind().to_owned(),
            at_ms: (shared.settings.clock)(),
            json: user.fields(),
        },
    };
    let begun_at = Instant::now();
    let begun = shared.store.begin_turn(turn).await;
    if begun.is_ok() {
        shared.metrics.committed(begun_at.elapsed());
    }
    begun.map_err(|error| match (error, &draft.parent) {
        (StoreError::TurnNotFound { conversation, .. }, Parent::Turn(parent)) => ChatError::ParentNotFound {
            key: "parentTurnId",
            conversation,
            turn_id: parent.clone(),
        },
        (error, _) => error.into(),
    })
}
