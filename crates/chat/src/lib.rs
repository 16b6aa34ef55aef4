//! One turn from command to log: prompt, engine, store, events.
//!
//! A [`TurnCommand`] goes in; events come out in the conversation's log, which readers follow in the store and convert
//! to frames with [`logged_frame`]. A turn runs as its own task and always ends in exactly one `done` or `error`. It
//! never knows a socket: the client that started a turn may go away, and stopping the turn is a command
//! ([`Chat::cancel`]).

mod agent_snapshot;
mod command;
mod error;
mod eviction_cursors;
mod frames;
mod metrics;
mod models;
mod options;
mod prompt;
mod prompt_view;
mod recovery;
mod services;
mod settings;
mod signals;
mod start;
mod submit;
#[cfg(test)]
mod tests;
mod tool_rounds;
mod tools;
mod turn;
mod turn_queue;

use std::sync::Arc;
use std::time::Duration;

use agent_store::AgentStore;
use conversation_store::ConversationStore;
use prometheus::proto::MetricFamily;
use serde_json::Value;
use tokio::sync::watch;

pub use agent_snapshot::check_snapshot;
pub use command::{RegenerateCommand, TurnCommand, TurnHandle};
pub use error::ChatError;
pub use frames::{joined_tokens, logged_frame, rfc3339};
pub use metrics::METRICS_PREFIX;
pub use models::{Models, ModelsBuilder, OpenModel};
pub use settings::ChatSettings;
pub use signals::{PersistFailure, QueuePosition};
pub use tools::{ToolFuture, ToolHandler, ToolRequest};

use metrics::GaugeValues;
use services::TurnServices;
use tool_rounds::MAX_OUTPUT_BYTES;
use tools::SubmitOutcome;
use turn_queue::TurnQueues;

/// Runs turns. Clones share one chat.
#[derive(Clone)]
pub struct Chat {
    shared: Arc<Shared>,
}

/// The parts of a chat.
struct Shared {
    agents: AgentStore,
    services: Arc<TurnServices>,
    queues: TurnQueues,
}

impl Chat {
    /// Creates a chat over these stores and models; a single engine will do.
    #[must_use]
    pub fn new(
        agents: AgentStore,
        store: ConversationStore,
        models: impl Into<Models>,
        settings: ChatSettings,
    ) -> Self {
        let services = Arc::new(TurnServices::new(store, models.into(), settings));
        let queues = TurnQueues::new(Arc::clone(&services));
        let shared = Shared {
            agents,
            services,
            queues,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Starts a turn. When this returns, it is on disk and runs or waits in its conversation's queue.
    ///
    /// A command that repeats an earlier one, turn id included, joins its turn. If the future is dropped, the turn may
    /// have started all the same.
    ///
    /// # Errors
    /// Any [`ChatError`]; then no turn was started.
    pub async fn start_turn(&self, command: TurnCommand) -> Result<TurnHandle, ChatError> {
        submit::start_turn(&self.shared, command).await
    }

    /// Starts a sibling of a turn: the same user text, answered again. It becomes the conversation's head. The turn
    /// itself is not changed, even if it still runs.
    ///
    /// A command that repeats an earlier one, new turn id included, joins its turn.
    ///
    /// # Errors
    /// [`ChatError::TurnNotFound`], and as [`Chat::start_turn`].
    pub async fn regenerate(&self, command: RegenerateCommand) -> Result<TurnHandle, ChatError> {
        submit::regenerate(&self.shared, command).await
    }

    /// Asks a turn to stop, whether it runs or waits. It soon ends as `cancelled` and keeps its text. A turn that is
    /// over is not changed.
    ///
    /// # Errors
    /// [`ChatError::TurnNotFound`], or the store's error.
    pub async fn cancel(&self, conversation: &str, turn_id: &str) -> Result<(), ChatError> {
        if self.shared.queues.cancel(conversation, turn_id) {
            return Ok(());
        }
        match self.shared.services.store.turn(conversation, turn_id).await? {
            Some(_) => Ok(()),
            None => Err(ChatError::turn_not_found(conversation, turn_id)),
        }
    }

    /// Returns how many turns are ahead of one, with its changes; `None` if the turn neither runs nor waits.
    #[must_use]
    pub fn queue_position(&self, conversation: &str, turn_id: &str) -> Option<QueuePosition> {
        self.shared.queues.queue_position(conversation, turn_id)
    }

    /// Returns the failures to write a turn's end, such as a full disk, as they occur; `None` if the turn neither runs
    /// nor waits. Writing the end is retried until it is in the log; the failures themselves are not logged there.
    #[must_use]
    pub fn persist_failure(&self, conversation: &str, turn_id: &str) -> Option<PersistFailure> {
        self.shared.queues.persist_failure(conversation, turn_id)
    }

    /// Submits the output of a tool call that a turn waits for. Soon after, its `tool-output` is in the log and the
    /// model goes on.
    ///
    /// # Errors
    /// [`ChatError::NoSuchCall`] if no such call waits: it has an output already, or has timed out;
    /// [`ChatError::OutputsTooLarge`] if the turn's outputs would be too large; the call then still waits.
    pub fn tool_output(
        &self,
        conversation: &str,
        turn_id: &str,
        call_id: &str,
        output: Value,
    ) -> Result<(), ChatError> {
        let turn = turn_id.to_owned();
        match self
            .shared
            .services
            .pending_calls
            .submit(conversation, turn_id, call_id, output)
        {
            SubmitOutcome::Accepted => Ok(()),
            SubmitOutcome::UnknownCall => Err(ChatError::NoSuchCall {
                turn_id: turn,
                call_id: call_id.to_owned(),
            }),
            SubmitOutcome::TooLarge(bytes) => Err(ChatError::OutputsTooLarge {
                turn_id: turn,
                bytes,
                limit: MAX_OUTPUT_BYTES,
            }),
        }
    }

    /// Checks that an agent exists and that its options and tools are valid.
    ///
    /// # Errors
    /// Those of [`Chat::start_turn`] for a turn with this agent.
    pub async fn check_agent(&self, agent_id: &str) -> Result<(), ChatError> {
        let agent = submit::agent(&self.shared, agent_id).await?;
        options::agent_patch(&agent)?;
        options::agent_tools(&agent).map(drop)
    }

    /// Rebuilds what the model got of one turn from the log.
    ///
    /// # Errors
    /// [`ChatError::TurnNotFound`], or [`ChatError::Engine`] while the model loads.
    pub async fn prompt(&self, conversation: &str, turn_id: &str) -> Result<protocol::Prompt, ChatError> {
        prompt_view::prompt(&self.shared.services, conversation, turn_id).await
    }

    /// Resumes each turn that was cut off while it waited for a tool's output, and ends each other unfinished turn as
    /// `interrupted`, with an `error` in its log. Returns the number of interrupted turns.
    ///
    /// Must be called before the first turn is started, in the runtime in which turns run.
    ///
    /// # Errors
    /// The store's error; a second call continues where the first one stopped.
    pub async fn recover(&self) -> Result<usize, ChatError> {
        recovery::recover(&self.shared.services, &self.shared.queues).await
    }

    /// Returns the number of turns that run or wait.
    #[must_use]
    pub fn live_turns(&self) -> usize {
        self.shared.queues.live_turns()
    }

    /// Returns the metrics of this chat's turns, for an encoder of the crate `prometheus`. The names begin with
    /// [`METRICS_PREFIX`]; no label has an id or a text of a conversation.
    #[must_use]
    pub fn metrics(&self) -> Vec<MetricFamily> {
        let live = self.live_turns();
        let running = self.shared.queues.busy_conversations().min(live);
        self.shared.services.metrics.gather(&GaugeValues {
            running,
            waiting: live - running,
            cache_bytes: self.shared.services.models.cache_bytes(),
        })
    }

    /// Returns the number of [`Chat::live_turns`], with its changes. A turn counts until its terminal event is in the
    /// log.
    #[must_use]
    pub fn watch_live_turns(&self) -> watch::Receiver<usize> {
        self.shared.queues.watch_live_turns()
    }

    /// Returns true if a turn of this conversation runs or waits.
    #[must_use]
    pub fn is_live(&self, conversation: &str) -> bool {
        self.shared.queues.is_live(conversation)
    }

    /// Refuses new turns from now on ([`ChatError::Draining`]); started ones go on.
    pub fn drain(&self) {
        self.shared.queues.drain();
    }

    /// Refuses new turns, gives started ones `grace` to end, and then ends them as `interrupted` with the text that
    /// they have.
    ///
    /// When it returns, every turn has its terminal event, except for those whose event the store refuses and those
    /// that wait for a tool's output, which stay open; [`Chat::recover`] handles both.
    pub async fn shutdown(&self, grace: Duration) {
        self.drain();
        if tokio::time::timeout(grace, self.shared.queues.idle()).await.is_err() {
            self.shared.queues.interrupt();
            self.shared.queues.idle().await;
        }
    }
}
