//! Begins a turn: checks the command, takes a place in the conversation's lane, and puts the turn on disk.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use agent_store::{Agent, AgentId};
use conversation_store::{Begun, NewEvent, NewTurn, Parent, StoreError};
use protocol::{Limits, ProtocolError, ServerEvent, ToolDefinition, User, check_conversation_id, check_turn_id};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::lane::{Place, Reserved, Stop, Waiting};
use crate::options::{self, Merged};
use crate::system::Snapshot;
use crate::turn::Live;
use crate::{ChatError, RegenerateCommand, Shared, TurnCommand, TurnHandle};

/// The largest whole number that every JSON reader keeps exactly, as a mask of random bits.
const SEED_BITS: u64 = (1 << 53) - 1;

/// A turn on its way to its lane.
pub(crate) enum Begin {
    /// A checked command.
    New(Box<New>),
    /// A turn that a restart cut off while it waited for tools.
    Again {
        place: Place,
        stop: watch::Receiver<Stop>,
        live: Box<Live>,
    },
}

/// A checked command, and who waits for its answer.
pub(crate) struct New {
    place: Place,
    stop: watch::Receiver<Stop>,
    draft: Draft,
    reply: oneshot::Sender<Result<TurnHandle, ChatError>>,
}

/// All of a turn that is known before it has its place in the log.
#[derive(Debug)]
struct Draft {
    conversation: String,
    turn_id: String,
    parent: Parent,
    message: String,
    body_hash: String,
    agent: Agent,
    options: Merged,
    models: Vec<String>,
    tools: Vec<ToolDefinition>,
    seed: u64,
}

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

/// Begins a sibling of a turn, with the same words and the same agent.
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
    let again = TurnCommand {
        agent_id: turn.agent_id,
        conversation_id: Some(command.conversation_id),
        turn_id: command.new_turn_id,
        message: turn.user_text,
        hello_options: command.hello_options,
        options: command.options,
        tools: command.tools,
        ..TurnCommand::default()
    };
    submit(shared, draft(shared, again, parent, body_hash).await?).await
}

/// Takes a place in the conversation's lane, and waits until the turn is on disk.
async fn submit(shared: &Arc<Shared>, draft: Draft) -> Result<TurnHandle, ChatError> {
    let Reserved { place, stop, begins } = shared.lanes.reserve(shared, &draft.conversation, &draft.turn_id)?;
    let (reply, answer) = oneshot::channel();
    let new = New {
        place,
        stop,
        draft,
        reply,
    };
    begins
        .try_send(Begin::New(Box::new(new)))
        .map_err(|_| ChatError::Gone)?;
    answer.await.map_err(|_| ChatError::Gone)?
}

/// Takes up a turn that a restart cut off while it waited for tools; `false` when it can't be.
pub(crate) fn take_up(shared: &Arc<Shared>, live: Live) -> bool {
    let Ok(Reserved { place, stop, begins }) = shared.lanes.reserve(shared, &live.conversation, &live.turn_id) else {
        return false;
    };
    let live = Box::new(live);
    begins.try_send(Begin::Again { place, stop, live }).is_ok()
}

/// An agent, read on a thread that may block.
pub(crate) async fn agent(shared: &Shared, agent_id: &str) -> Result<Agent, ChatError> {
    let (agents, id) = (shared.agents.clone(), AgentId::parse(agent_id)?);
    let agent = tokio::task::spawn_blocking(move || agents.get(&id)).await;
    Ok(agent.map_err(|_| ChatError::Gone)??)
}

/// Lets a turn wait to run.
pub(crate) async fn begin(shared: &Arc<Shared>, begin: Begin) -> Option<Waiting> {
    match begin {
        Begin::New(new) => begin_new(shared, *new).await,
        Begin::Again { place, stop, live } => Some(Waiting::new(Arc::new(*live), place, stop)),
    }
}

/// Puts the turn on disk, in its lane's task and so one after the other; then it waits to run.
async fn begin_new(shared: &Arc<Shared>, new: New) -> Option<Waiting> {
    let New {
        place,
        stop,
        draft,
        reply,
    } = new;
    let system = Snapshot::of(&draft.agent).system();
    let begun = match put(shared, &draft).await {
        Ok(begun) => begun,
        Err(error) => {
            // Whoever asked may be gone; then nobody needs the answer.
            let _unheard = reply.send(Err(error));
            return None;
        }
    };
    let handle = TurnHandle {
        conversation_id: draft.conversation.clone(),
        turn_id: draft.turn_id.clone(),
        first_seq: begun.first_seq,
        joined: begun.joined,
    };
    // The turn runs whether or not whoever asked is still there.
    let _unheard = reply.send(Ok(handle));
    if begun.joined {
        return None;
    }
    let live = Live {
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
        waiting: Mutex::default(),
    };
    Some(Waiting::new(Arc::new(live), place, stop))
}

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

/// The turn that a command repeats; it is joined even when the lane is full, the agent gone, or the chat draining.
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

/// Where a message hangs in the tree: beside the turn that it edits, below the one that it names, or below the head.
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

async fn draft(shared: &Shared, command: TurnCommand, parent: Parent, body_hash: String) -> Result<Draft, ChatError> {
    let agent = agent(shared, &command.agent_id).await?;
    let agent_patch = options::agent_patch(&agent)?;
    let tools = match command.tools {
        Some(tools) => tools,
        None => options::agent_tools(&agent)?,
    };
    let asked = command.options.over(command.hello_options);
    let models = options::candidates(&asked.model, &agent, &agent_patch, &shared.models)?;
    let first = models.first().map(String::as_str).unwrap_or_default();
    let info = shared.models.info(first);
    let options = options::merge(asked.over(agent_patch), &shared.settings, first, info.as_ref());
    Ok(Draft {
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

async fn put(shared: &Shared, draft: &Draft) -> Result<Begun, ChatError> {
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
        // Named even when it is the head, so that the event above says what is stored.
        parent: parent_turn_id.map_or(Parent::Root, Parent::Turn),
        user_text: draft.message.clone(),
        agent_id: draft.agent.id.to_string(),
        agent_hash: draft.agent.hash.clone(),
        agent_json: Snapshot::of(&draft.agent).to_json(),
        options_json: serde_json::to_string(&draft.options.effective).expect("options have string keys only"),
        seed: draft.seed,
        body_hash: draft.body_hash.clone(),
        event: NewEvent {
            kind: user.kind().to_owned(),
            at_ms: (shared.settings.clock)(),
            json: user.fields(),
        },
    };
    let asked = Instant::now();
    let begun = shared.store.begin_turn(turn).await;
    if begun.is_ok() {
        shared.figures.committed(asked.elapsed());
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
