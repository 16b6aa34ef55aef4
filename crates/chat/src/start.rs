//! Starts a turn whose place in the order has come: inserts it into the log, and hands over what its run needs.
//!
//! A [`StartCommand`] goes in, a [`ReadyTurn`] comes out. It never knows a queue, nor runs a turn.

use std::sync::Arc;
use std::time::Instant;

use agent_store::Agent;
use conversation_store::{BegunTurn, NewEvent, NewTurn, Parent, StoreError, TurnKey};
use protocol::{ServerEvent, ToolDefinition, User};
use tokio::sync::oneshot;

use crate::agent_snapshot::AgentSnapshot;
use crate::command::TurnHandle;
use crate::error::ChatError;
use crate::options::MergedOptions;
use crate::services::TurnServices;
use crate::turn::{ReadyTurn, TurnContext};

/// A turn to start.
pub(crate) enum StartCommand {
    /// A new turn, to be inserted into the log.
    New(Box<NewTurnCommand>),
    /// A turn in the log that a restart cut off while it waited for tools.
    Resume(Box<ReadyTurn>),
}

/// A checked command for a new turn.
pub(crate) struct NewTurnCommand {
    draft: TurnDraft,
    /// Gets the result of the insertion.
    reply: oneshot::Sender<Result<TurnHandle, ChatError>>,
}

/// What is known of a turn before it is in the log.
#[derive(Debug)]
pub(crate) struct TurnDraft {
    pub conversation: String,
    pub turn_id: String,
    pub parent: Parent,
    pub message: String,
    pub body_hash: String,
    pub agent: Agent,
    pub options: MergedOptions,
    /// The models that may answer, in order.
    pub models: Vec<String>,
    pub tools: Vec<ToolDefinition>,
    pub seed: u64,
}

impl StartCommand {
    /// Returns the command for a new turn, and the receiver of its result.
    pub(crate) fn new(draft: TurnDraft) -> (Self, oneshot::Receiver<Result<TurnHandle, ChatError>>) {
        let (reply, result) = oneshot::channel();
        (Self::New(Box::new(NewTurnCommand { draft, reply })), result)
    }

    /// Returns the conversation's id.
    pub(crate) fn conversation(&self) -> &str {
        match self {
            Self::New(new) => &new.draft.conversation,
            Self::Resume(ready) => &ready.context.conversation,
        }
    }

    /// Returns the turn's id.
    pub(crate) fn turn_id(&self) -> &str {
        match self {
            Self::New(new) => &new.draft.turn_id,
            Self::Resume(ready) => &ready.context.turn_id,
        }
    }
}

/// Starts a queued turn and replies to its caller. Returns `None` if there is nothing to run: the insertion failed, or
/// the command repeats one that started the turn already.
pub(crate) async fn start_queued(services: &Arc<TurnServices>, command: StartCommand) -> Option<ReadyTurn> {
    let NewTurnCommand { draft, reply } = match command {
        StartCommand::New(new) => *new,
        StartCommand::Resume(ready) => return Some(*ready),
    };
    let begun = match insert_turn(services, &draft).await {
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
    (!begun.joined).then(|| ReadyTurn {
        context: Arc::new(draft.into_context(services, begun.key)),
        resumed: None,
    })
}

impl TurnDraft {
    /// Returns the context of the turn that was inserted under this key.
    fn into_context(self, services: &Arc<TurnServices>, key: TurnKey) -> TurnContext {
        TurnContext {
            services: Arc::clone(services),
            system: AgentSnapshot::of(&self.agent).system(),
            conversation: self.conversation,
            turn_id: self.turn_id,
            key,
            options: self.options.engine,
            seed: self.seed,
            models: self.models,
            tools: self.tools,
        }
    }
}

/// Inserts the turn with its `user` event into the store.
async fn insert_turn(services: &TurnServices, draft: &TurnDraft) -> Result<BegunTurn, ChatError> {
    let parent = parent_turn_id(services, draft).await?;
    let begun_at = Instant::now();
    let begun = services.store.begin_turn(new_turn(services, draft, parent)).await;
    if begun.is_ok() {
        services.metrics.committed(begun_at.elapsed());
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

/// Returns the id of the draft's parent, which is the conversation's head if the command names none.
async fn parent_turn_id(services: &TurnServices, draft: &TurnDraft) -> Result<Option<String>, StoreError> {
    match &draft.parent {
        Parent::Turn(turn_id) => Ok(Some(turn_id.clone())),
        Parent::Root => Ok(None),
        Parent::Head => {
            let conversation = services.store.conversation(&draft.conversation).await?;
            Ok(conversation.and_then(|found| found.head_turn_id))
        }
    }
}

fn new_turn(services: &TurnServices, draft: &TurnDraft, parent_turn_id: Option<String>) -> NewTurn {
    let user = ServerEvent::User(User {
        text: draft.message.clone(),
        agent_id: draft.agent.id.to_string(),
        agent_hash: draft.agent.hash.clone(),
        options: draft.options.effective.clone(),
        seed: draft.seed,
        parent_turn_id: parent_turn_id.clone(),
    });
    NewTurn {
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
            at_ms: services.now_ms(),
            json: user.fields(),
        },
    }
}
