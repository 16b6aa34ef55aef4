//! The narrator: forwards a person's message to the relay, and publishes its answer to all readers of a conversation.
//!
//! The steps of one message: it checks the lease of the agent, writes `USER_MESSAGE` to the workspace's log, asks the
//! relay, writes `narration` to the conversation's log and `NARRATION` to the workspace's, and now and then a summary.
//! An accepted message is processed to its end even if its caller doesn't wait.

mod checked_message;
mod feed;
mod journal;
mod publishing;
mod task;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use conversation_store::{ConversationStore, StoreError};
use protocol::{NarratorAccepted, NarratorMessage};
use tokio::sync::Semaphore;

pub use feed::FeedQuery;

use crate::clock::Clock;
use crate::error::NarratorError;
use crate::leases::Leases;
use crate::relay::Relay;
use crate::safe_name::conversation_id;
use checked_message::CheckedMessage;
use journal::Journal;
use task::MessageTask;

/// Most messages answered at once, over all workspaces: each waits for a relay, and the users of a computer are few.
const MAX_TASKS: usize = 64;

/// The agent that answers if a message names none.
const DEFAULT_AGENT: &str = "controller";

/// Answers messages to workspaces' narrators. Clones share the narrator.
#[derive(Debug, Clone)]
pub struct Narrator {
    shared: Arc<Shared>,
}

/// Where a narrator reads and writes.
#[derive(Debug, Clone)]
pub struct NarratorStores {
    /// The store of the conversations that receive the narration.
    pub conversations: ConversationStore,
    /// The folder in which `narrator/` holds a log for each workspace.
    pub log_dir: PathBuf,
    /// The folder of the summaries.
    pub summary_dir: PathBuf,
}

/// The settings of a narrator.
#[derive(Debug, Clone)]
pub struct NarratorSettings {
    /// How long a relay may take.
    pub relay_limit: Duration,
    /// Number of narrations and agents' updates after which a workspace's summary is refreshed; at least 1.
    pub summary_refresh: u32,
    /// The source of time.
    pub clock: Clock,
}

impl Default for NarratorSettings {
    /// Returns 45 s, below the minute after which proxies give up; a summary for each five narrations; the system's
    /// clock.
    fn default() -> Self {
        Self {
            relay_limit: Duration::from_secs(45),
            summary_refresh: 5,
            clock: Clock::system(),
        }
    }
}

/// How long the sender of a message waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// Until the narration is in the conversation's log.
    Answer,
    /// Only until the message is in the workspace's log.
    Nothing,
}

#[derive(Debug)]
struct Shared {
    relay: Arc<dyn Relay>,
    leases: Leases,
    conversations: ConversationStore,
    journal: Journal,
    relay_limit: Duration,
    tasks: Arc<Semaphore>,
}

impl Narrator {
    /// Opens a narrator that forwards messages to this relay.
    ///
    /// # Errors
    /// [`NarratorError::File`] if a folder can't be created.
    pub fn open(
        relay: Arc<dyn Relay>,
        leases: Leases,
        stores: NarratorStores,
        settings: NarratorSettings,
    ) -> Result<Self, NarratorError> {
        let relay_limit = settings.relay_limit;
        let journal = Journal::open(&stores, settings)?;
        let shared = Shared {
            relay,
            leases,
            conversations: stores.conversations,
            journal,
            relay_limit,
            tasks: Arc::new(Semaphore::new(MAX_TASKS)),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Sends a message to the narrator, which processes it in a task of the current runtime.
    ///
    /// # Errors
    /// Before the message is in the workspace's log: a wrong key, `Busy`, a missing lease, a deleted conversation.
    /// After that, with [`WaitFor::Answer`]: the error of the relay or a store, or a lease that has ended
    /// meanwhile.
    pub async fn send(&self, message: NarratorMessage, wait_for: WaitFor) -> Result<NarratorAccepted, NarratorError> {
        let message = CheckedMessage::check(message)?;
        let permit = Arc::clone(&self.shared.tasks).try_acquire_owned();
        let permit = permit.map_err(|_| NarratorError::Busy { limit: MAX_TASKS })?;
        let task = MessageTask::begin(&self.shared, message).await?;
        let accepted = task.accepted();
        let running = tokio::spawn(async move {
            let outcome = task.run().await;
            drop(permit);
            outcome
        });
        if wait_for == WaitFor::Answer {
            running.await.map_err(|_| NarratorError::Gone)??;
        }
        Ok(accepted)
    }

    /// Returns the leases of controllers.
    #[must_use]
    pub fn leases(&self) -> &Leases {
        &self.shared.leases
    }
}

impl Shared {
    /// Returns the id of the conversation of a workspace and an agent: always the same one until it is deleted, then
    /// the next one.
    async fn own_conversation(&self, workspace: &str, agent: &str) -> Result<String, NarratorError> {
        /// How often a workspace's conversation may be deleted: more often than any user does.
        const MAX_GENERATIONS: u32 = 100;
        let first = conversation_id(workspace, agent);
        let mut id = first.clone();
        for generation in 2..=MAX_GENERATIONS {
            match self.conversations.conversation(&id).await {
                Err(StoreError::Gone { .. }) => id = format!("{first}-{generation}"),
                Err(error) => return Err(error.into()),
                Ok(_) => break,
            }
        }
        Ok(id)
    }
}
