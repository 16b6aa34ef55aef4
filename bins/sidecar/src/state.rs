//! The state that all request handlers share: the stores, the engines, the access rules.
//!
//! Handlers run on the server's worker threads, which end with the server; a turn must not. So commands run on the
//! runtime that the process was started with, and finish there even when the handler is gone.

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
use crate::api_error::ApiError;
use crate::connections::Sockets;
use crate::models::Engines;
use crate::phase::Phase;
use crate::server_metrics::ServerMetrics;
use crate::settings::HttpLimits;
use crate::turn_owners::TurnOwners;

/// Shared by all requests.
pub struct AppState {
    pub(crate) chat: Chat,
    pub(crate) agents: AgentStore,
    pub(crate) store: ConversationStore,
    pub(crate) narrator: Narrator,
    pub(crate) engines: Engines,
    pub(crate) access: Arc<Access>,
    pub(crate) limits: Limits,
    pub(crate) http: HttpLimits,
    pub(crate) ping_period: Duration,
    pub(crate) runtime: Handle,
    pub(crate) server_metrics: ServerMetrics,
    pub(crate) owners: Arc<TurnOwners>,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) phase: watch::Receiver<Phase>,
    /// New at every start: a changed id tells a client that the process is another.
    pub(crate) boot_id: String,
}

impl AppState {
    /// Returns the current phase of the shutdown.
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Refuses to start anything new once the sidecar drains.
    pub(crate) fn check_serving(&self) -> Result<(), ApiError> {
        match self.phase() {
            Phase::Serving => Ok(()),
            Phase::Draining | Phase::Stopping => Err(ApiError::draining()),
        }
    }

    /// Starts or joins a turn.
    pub(crate) async fn start_turn(&self, command: TurnCommand) -> Result<TurnHandle, ApiError> {
        let chat = self.chat.clone();
        Ok(self
            .spawn_detached(async move { chat.start_turn(command).await })
            .await??)
    }

    /// Starts or joins a sibling of a turn.
    pub(crate) async fn regenerate(&self, command: RegenerateCommand) -> Result<TurnHandle, ApiError> {
        let chat = self.chat.clone();
        Ok(self
            .spawn_detached(async move { chat.regenerate(command).await })
            .await??)
    }

    /// Cancels a turn; one that has ended stays as it is.
    pub(crate) async fn cancel(&self, conversation: &str, turn_id: &str) -> Result<(), ApiError> {
        let (chat, conversation, turn_id) = (self.chat.clone(), conversation.to_owned(), turn_id.to_owned());
        Ok(self
            .spawn_detached(async move { chat.cancel(&conversation, &turn_id).await })
            .await??)
    }

    /// Checks that an agent exists and can be used.
    pub(crate) async fn check_agent(&self, agent_id: &str) -> Result<(), ApiError> {
        let (chat, agent_id) = (self.chat.clone(), agent_id.to_owned());
        Ok(self
            .spawn_detached(async move { chat.check_agent(&agent_id).await })
            .await??)
    }

    /// Renders the prompt that a turn saw.
    pub(crate) async fn prompt(&self, conversation: &str, turn_id: &str) -> Result<protocol::Prompt, ApiError> {
        let (chat, conversation, turn_id) = (self.chat.clone(), conversation.to_owned(), turn_id.to_owned());
        Ok(self
            .spawn_detached(async move { chat.prompt(&conversation, &turn_id).await })
            .await??)
    }

    /// Returns the ids of a conversation's turns that have not ended.
    pub(crate) async fn running_in(&self, conversation: &str) -> Result<Vec<String>, ApiError> {
        let running = self.store.running().await?.into_iter();
        let in_conversation = running.filter(|turn| turn.conversation == conversation);
        Ok(in_conversation.map(|turn| turn.turn_id).collect())
    }

    /// Deletes a conversation, after cancelling its running turns, and drops what the engine caches of it.
    pub(crate) async fn delete_conversation(&self, conversation: &str) -> Result<(), ApiError> {
        for turn_id in self.running_in(conversation).await? {
            self.cancel(conversation, &turn_id).await?;
        }
        // Before the deletion, so that no crash leaves a cache of a deleted conversation; and after it, for what a turn
        // that was ending left.
        self.engines.models.forget(conversation);
        self.store.delete(conversation).await?;
        self.engines.models.forget(conversation);
        Ok(())
    }

    /// Runs blocking file access of the agent store on a thread that may block.
    pub(crate) async fn with_agents<T, F>(&self, work: F) -> Result<T, ApiError>
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

    /// Runs a future that goes on when its handler, or the handler's thread, is gone.
    pub(crate) async fn spawn_detached<F>(&self, work: F) -> Result<F::Output, ApiError>
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
