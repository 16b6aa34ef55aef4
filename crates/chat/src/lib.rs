//! One turn from command to log: prompt, engine, store, events.
//!
//! A [`TurnCommand`] goes in; what comes out is in the conversation's log, which anyone may read from the store and turn to
//! frames with [`logged_frame`]. A turn runs as its own task, and ends in exactly one `done` or `error`, whatever happens. Nothing here
//! knows a socket: whoever started a turn may go away, and stopping it is a command ([`Chat::cancel`]).

mod command;
mod error;
mod figures;
mod lane;
mod models;
mod options;
mod prompt;
mod recovery;
mod rounds;
mod settings;
mod start;
mod system;
#[cfg(test)]
mod tests;
mod tools;
mod turn;
mod view;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use agent_store::AgentStore;
use conversation_store::ConversationStore;
use serde_json::Value;
use tokio::sync::watch;

pub use command::{RegenerateCommand, TurnCommand, TurnHandle};
pub use error::ChatError;
pub use figures::{HistogramSnapshot, TurnMetrics};
pub use lane::{PersistFailure, QueuePosition};
pub use models::{Models, ModelsBuilder, OpenModel};
pub use settings::ChatSettings;
pub use system::check_snapshot;
pub use tools::{ToolFuture, ToolHandler, ToolRequest};
pub use wire::{joined_tokens, logged_frame, rfc3339};

use lane::Lanes;
use rounds::MAX_OUTPUT_BYTES;
use tools::HandedIn;

/// Runs turns. Clones are the same chat.
#[derive(Clone)]
pub struct Chat {
    shared: Arc<Shared>,
}

/// What every turn needs.
struct Shared {
    agents: AgentStore,
    store: ConversationStore,
    models: Models,
    settings: ChatSettings,
    lanes: Lanes,
    marks: turn::Marks,
    tools: tools::Board,
    figures: figures::Figures,
}

impl Chat {
    /// A chat over these stores and these models; one engine is all that it needs.
    #[must_use]
    pub fn new(
        agents: AgentStore,
        store: ConversationStore,
        models: impl Into<Models>,
        settings: ChatSettings,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                agents,
                store,
                models: models.into(),
                settings,
                lanes: Lanes::default(),
                marks: turn::Marks::default(),
                tools: tools::Board::default(),
                figures: figures::Figures::default(),
            }),
        }
    }

    /// Begins a turn: it is on disk, and runs or waits its turn, when this returns.
    ///
    /// A turn id that was used before joins that turn if the rest is the same. A caller that drops the future may still have
    /// begun the turn.
    ///
    /// # Errors
    /// [`ChatError`] with the code that the wire says; then no turn was begun.
    pub async fn start_turn(&self, command: TurnCommand) -> Result<TurnHandle, ChatError> {
        start::start_turn(&self.shared, command).await
    }

    /// Begins a sibling of a turn: the same words of the user, answered once more. It becomes the conversation's head; the turn itself
    /// stays as it is, also one that still runs.
    ///
    /// A new turn id that was used before joins that turn if the rest is the same.
    ///
    /// # Errors
    /// [`ChatError::TurnNotFound`], and as [`Chat::start_turn`].
    pub async fn regenerate(&self, command: RegenerateCommand) -> Result<TurnHandle, ChatError> {
        start::regenerate(&self.shared, command).await
    }

    /// Stops a turn, whether it runs or waits; it ends as `cancelled` with the text it has, soon after. A turn that is over already
    /// stays as it is.
    ///
    /// # Errors
    /// [`ChatError::TurnNotFound`], or the store's fault.
    pub async fn cancel(&self, conversation: &str, turn_id: &str) -> Result<(), ChatError> {
        if self.shared.lanes.cancel(conversation, turn_id) {
            return Ok(());
        }
        match self.shared.store.turn(conversation, turn_id).await? {
            Some(_) => Ok(()),
            None => Err(ChatError::turn_not_found(conversation, turn_id)),
        }
    }

    /// How many turns are ahead of one, as it changes; `None` for a turn that neither runs nor waits.
    #[must_use]
    pub fn queue_position(&self, conversation: &str, turn_id: &str) -> Option<QueuePosition> {
        self.shared.lanes.queue(conversation, turn_id)
    }

    /// What keeps a turn from its end, as it comes up: the disk is full, say. The end is tried again until it is in the log, and
    /// nothing of this is. `None` for a turn that neither runs nor waits.
    #[must_use]
    pub fn persist_failure(&self, conversation: &str, turn_id: &str) -> Option<PersistFailure> {
        self.shared.lanes.persist_failure(conversation, turn_id)
    }

    /// Answers a call of a tool that a turn waits for. Soon after, its `tool-output` is in the log, and the model goes on.
    ///
    /// # Errors
    /// [`ChatError::NoSuchCall`] when no such call waits: it was answered already, or its time is over;
    /// [`ChatError::OutputsTooLarge`] when the turn's outputs would be, and the call still waits for a smaller one.
    pub fn tool_output(
        &self,
        conversation: &str,
        turn_id: &str,
        call_id: &str,
        output: Value,
    ) -> Result<(), ChatError> {
        let turn = turn_id.to_owned();
        match self.shared.tools.answer(conversation, turn_id, call_id, output) {
            HandedIn::Taken => Ok(()),
            HandedIn::Unknown => Err(ChatError::NoSuchCall {
                turn_id: turn,
                call_id: call_id.to_owned(),
            }),
            HandedIn::TooLarge(bytes) => Err(ChatError::OutputsTooLarge {
                turn_id: turn,
                bytes,
                limit: MAX_OUTPUT_BYTES,
            }),
        }
    }

    /// Checks that an agent exists, and that its options and tools are what they should be, as a hello asks.
    ///
    /// # Errors
    /// As [`Chat::start_turn`] would say.
    pub async fn check_agent(&self, agent_id: &str) -> Result<(), ChatError> {
        let agent = start::agent(&self.shared, agent_id).await?;
        options::agent_patch(&agent)?;
        options::agent_tools(&agent).map(drop)
    }

    /// What the model saw of one turn, rebuilt from the log.
    ///
    /// # Errors
    /// [`ChatError::TurnNotFound`], [`ChatError::Engine`] while the model loads.
    pub async fn prompt(&self, conversation: &str, turn_id: &str) -> Result<protocol::Prompt, ChatError> {
        view::prompt(&self.shared, conversation, turn_id).await
    }

    /// Takes up every turn that was cut off while it waited for the output of a tool, and ends every other one as `interrupted`,
    /// with a recorded error. To be called before the first turn is started, in the runtime that turns live in. Returns how many
    /// were interrupted.
    ///
    /// # Errors
    /// The store's fault; calling it again goes on where it stopped.
    pub async fn recover(&self) -> Result<usize, ChatError> {
        recovery::recover(&self.shared).await
    }

    /// Turns that run or wait.
    #[must_use]
    pub fn live_turns(&self) -> usize {
        self.shared.lanes.live()
    }

    /// What was counted of this chat's turns.
    #[must_use]
    pub fn metrics(&self) -> TurnMetrics {
        let live = self.live_turns();
        let running = self.shared.lanes.busy().min(live);
        let cache_bytes = self.shared.models.cache_bytes();
        self.shared.figures.read((running, live - running), cache_bytes)
    }

    /// The number of [`Chat::live_turns`], to be told of its changes: a turn leaves it after its terminal event is in the log.
    #[must_use]
    pub fn watch_live_turns(&self) -> watch::Receiver<usize> {
        self.shared.lanes.watch_live()
    }

    /// Whether a turn of this conversation runs or waits.
    #[must_use]
    pub fn is_live(&self, conversation: &str) -> bool {
        self.shared.lanes.is_live(conversation)
    }

    /// Takes no new turn from now on ([`ChatError::Draining`]); those that were begun go on.
    pub fn drain(&self) {
        self.shared.lanes.drain();
    }

    /// Takes no new turn, gives those that were begun `grace` to end, and then ends them as `interrupted` with the text they have.
    /// When it returns, every turn has its terminal event, but for those that the store can't take, and those that wait for the
    /// output of a tool, which stay open; [`Chat::recover`] sees to both.
    pub async fn shutdown(&self, grace: Duration) {
        self.drain();
        if tokio::time::timeout(grace, self.shared.lanes.idle()).await.is_err() {
            self.shared.lanes.interrupt();
            self.shared.lanes.idle().await;
        }
    }
}
