//! What every request handler shares: the stores, the engine, the rules of access.
//!
//! Handlers run on the server's worker threads, which end with the server; a turn must not. So commands are handed to the
//! runtime that the process was started with, and finish there even when the handler that asked is gone.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use agent_store::AgentStore;
use chat::{Chat, RegenerateCommand, TurnCommand, TurnHandle};
use conversation_store::ConversationStore;
use protocol::Limits;
use relay::Narrator;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::Instrument;

use crate::access::Access;
use crate::models::Engines;
use crate::phase::Phase;
use crate::rest::Answers;
use crate::settings::HttpLimits;
use crate::socket::{Owners, Sockets};
use crate::status::ApiError;

/// Shared by all requests.
pub struct State {
    pub(crate) chat: Chat,
    pub(crate) agents: AgentStore,
    pub(crate) store: ConversationStore,
    pub(crate) narrator: Narrator,
    pub(crate) engines: Engines,
    pub(crate) access: Access,
    pub(crate) limits: Limits,
    pub(crate) http: HttpLimits,
    pub(crate) ping_period: Duration,
    pub(crate) runtime: Handle,
    pub(crate) answers: Answers,
    pub(crate) owners: Arc<Owners>,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) phase: watch::Receiver<Phase>,
    /// New at every start: a client sees by it that the process is another.
    pub(crate) boot_id: String,
}

impl State {
    /// Where the sidecar is in its life.
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Refuses what would begin something new once the sidecar drains.
    pub(crate) fn check_serving(&self) -> Result<(), ApiError> {
        match self.phase() {
            Phase::Serving => Ok(()),
            Phase::Draining | Phase::Stopping => Err(ApiError::draining()),
        }
    }

    /// Starts or joins a turn.
    pub(crate) async fn start_turn(&self, command: TurnCommand) -> Result<TurnHandle, ApiError> {
        let chat = self.chat.clone();
        Ok(self.outlive(async move { chat.start_turn(command).await }).await??)
    }

    /// Starts or joins a sibling of a turn.
    pub(crate) async fn regenerate(&self, command: RegenerateCommand) -> Result<TurnHandle, ApiError> {
        let chat = self.chat.clone();
        Ok(self.outlive(async move { chat.regenerate(command).await }).await??)
    }

    /// Cancels a turn; one that is over stays as it is.
    pub(crate) async fn cancel(&self, conversation: &str, turn_id: &str) -> Result<(), ApiError> {
        let (chat, conversation, turn_id) = (self.chat.clone(), conversation.to_owned(), turn_id.to_owned());
        Ok(self
            .outlive(async move { chat.cancel(&conversation, &turn_id).await })
            .await??)
    }

    /// Checks that an agent is there and can be used.
    pub(crate) async fn check_agent(&self, agent_id: &str) -> Result<(), ApiError> {
        let (chat, agent_id) = (self.chat.clone(), agent_id.to_owned());
        Ok(self.outlive(async move { chat.check_agent(&agent_id).await }).await??)
    }

    /// Renders what a turn saw.
    pub(crate) async fn prompt(&self, conversation: &str, turn_id: &str) -> Result<protocol::Prompt, ApiError> {
        let (chat, conversation, turn_id) = (self.chat.clone(), conversation.to_owned(), turn_id.to_owned());
        Ok(self
            .outlive(async move { chat.prompt(&conversation, &turn_id).await })
            .await??)
    }

    /// Deletes a conversation, after stopping what runs in it, and drops what the engine keeps of it.
    pub(crate) async fn delete_conversation(&self, conversation: &str) -> Result<(), ApiError> {
        for turn in self
            .store
            .running()
            .await?
            .into_iter()
            .filter(|turn| turn.conversation == conversation)
        {
            self.cancel(conversation, &turn.turn_id).await?;
        }
        // First, so that no crash leaves a cache of what is deleted; and then what a turn that was ending left.
        self.engines.models.forget(conversation);
        self.store.delete(conversation).await?;
        self.engines.models.forget(conversation);
        Ok(())
    }

    /// Runs a store's blocking file access where it may block.
    pub(crate) async fn blocking<T, F>(&self, work: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(AgentStore) -> T + Send + 'static,
    {
        let agents = self.agents.clone();
        self.runtime
            .spawn_blocking(move || work(agents))
            .await
            .map_err(|error| ApiError::internal("the request", &error))
    }

    /// Runs work that goes on when its handler, or the thread of that, is gone.
    pub(crate) async fn outlive<F>(&self, work: F) -> Result<F::Output, ApiError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.runtime
            .spawn(work.in_current_span())
            .await
            .map_err(|error| ApiError::internal("the request", &error))
    }
}
