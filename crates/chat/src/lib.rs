//! One turn from command to log: prompt, engine, store, events.
//!
//! A [`TurnCommand`] goes in; what comes out is in the conversation's log, which anyone may read from the store and turn to
//! frames with [`logged_frame`]. A turn runs as its own task, and ends in exactly one `done` or `error`, whatever happens. Nothing here
//! knows a socket: whoever started a turn may go away, and stopping it is a command ([`Chat::cancel`]).

mod command;
mod error;
mod lane;
mod options;
mod prompt;
mod recovery;
mod settings;
mod start;
mod system;
#[cfg(test)]
mod tests;
mod turn;
mod view;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use agent_store::AgentStore;
use conversation_store::ConversationStore;
use engine::Engine;

pub use command::{TurnCommand, TurnHandle};
pub use error::ChatError;
pub use settings::ChatSettings;
pub use wire::{joined_tokens, logged_frame, rfc3339};

use lane::Lanes;

/// Runs turns. Clones are the same chat.
#[derive(Clone)]
pub struct Chat {
    shared: Arc<Shared>,
}

/// What every turn needs.
struct Shared {
    agents: AgentStore,
    store: ConversationStore,
    engine: Arc<dyn Engine>,
    settings: ChatSettings,
    lanes: Lanes,
    marks: turn::Marks,
}

impl Chat {
    /// A chat over these stores and this engine.
    #[must_use]
    pub fn new(agents: AgentStore, store: ConversationStore, engine: Arc<dyn Engine>, settings: ChatSettings) -> Self {
        let (lanes, marks) = (Lanes::default(), turn::Marks::default());
        Self {
            shared: Arc::new(Shared {
                agents,
                store,
                engine,
                settings,
                lanes,
                marks,
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

    /// Checks that an agent exists and that its options are in range, as a hello asks.
    ///
    /// # Errors
    /// As [`Chat::start_turn`] would say.
    pub async fn check_agent(&self, agent_id: &str) -> Result<(), ChatError> {
        let agent = start::agent(&self.shared, agent_id).await?;
        options::agent_patch(&agent).map(drop)
    }

    /// What the model saw of one turn, rebuilt from the log.
    ///
    /// # Errors
    /// [`ChatError::TurnNotFound`], [`ChatError::Engine`] while the model loads.
    pub async fn prompt(&self, conversation: &str, turn_id: &str) -> Result<protocol::Prompt, ChatError> {
        view::prompt(&self.shared, conversation, turn_id).await
    }

    /// Ends every turn that a crash cut off as `interrupted`, with a recorded error; to be called before the first turn is
    /// started. Returns how many there were.
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

    /// Takes no new turn from now on ([`ChatError::Draining`]); those that were begun go on.
    pub fn drain(&self) {
        self.shared.lanes.drain();
    }

    /// Takes no new turn, gives those that were begun `grace` to end, and then ends them as `interrupted` with the text they have.
    /// When it returns, every turn has its terminal event, unless the store can't take it; [`Chat::recover`] writes those.
    pub async fn shutdown(&self, grace: Duration) {
        self.drain();
        if tokio::time::timeout(grace, self.shared.lanes.idle()).await.is_err() {
            self.shared.lanes.interrupt();
            self.shared.lanes.idle().await;
        }
    }
}
