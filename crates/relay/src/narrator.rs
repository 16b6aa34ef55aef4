//! The narrator: a person's message in, the relay asked, and what it answers said to every reader of a conversation.
//!
//! The way of one message: the lease of the agent that is asked, `USER_MESSAGE` in the workspace's log, the relay, `narration`
//! in the conversation's log and `NARRATION` in the workspace's, and once in a while a summary. A message that has been taken is worked
//! on to its end, whether or not anyone waits for it.

mod feed;
mod journal;
mod publishing;
mod question;
mod task;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use conversation_store::{ConversationStore, StoreError};
use protocol::{NarratorAccepted, NarratorMessage};
use tokio::sync::Semaphore;

pub use feed::Look;

use crate::clock::Clock;
use crate::error::NarratorError;
use crate::leases::Leases;
use crate::relay::Relay;
use crate::safe_name::conversation_id;
use journal::Journal;
use question::Question;
use task::Task;

/// Messages that are being answered at once, over all workspaces: each waits for a relay, and a machine's people are few.
const MAX_TASKS: usize = 64;

/// The agent that is asked when a message names none.
const DEFAULT_AGENT: &str = "controller";

/// Answers messages to workspaces' narrators. Clones are the same narrator.
#[derive(Debug, Clone)]
pub struct Narrator {
    shared: Arc<Shared>,
}

/// Where a narrator reads and writes.
#[derive(Debug, Clone)]
pub struct NarratorStores {
    /// The conversations that it narrates into.
    pub conversations: ConversationStore,
    /// The folder in which `narrator/` holds a log for each workspace.
    pub log_dir: PathBuf,
    /// The folder of the summaries.
    pub summary_dir: PathBuf,
}

/// What the host decides for all messages.
#[derive(Debug, Clone)]
pub struct NarratorSettings {
    /// How long a relay may take.
    pub relay_limit: Duration,
    /// After so many things that narrator and agents have said, a workspace's summary is written anew; at least 1.
    pub summary_refresh: u32,
    /// Where the time comes from.
    pub clock: Clock,
}

impl Default for NarratorSettings {
    /// 45 s, below the minute after which proxies give up; a summary for five narrations; the system's clock.
    fn default() -> Self {
        Self {
            relay_limit: Duration::from_secs(45),
            summary_refresh: 5,
            clock: Clock::system(),
        }
    }
}

/// Whether whoever tells the narrator something waits until it has been answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// Until the narration is in the conversation's log.
    ForTheAnswer,
    /// Only until the message is in the workspace's log.
    ForNothing,
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
    /// A narrator that asks this relay.
    ///
    /// # Errors
    /// A folder that can't be made.
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

    /// Tells the narrator something. The work on it is a task of the runtime that this is called in.
    ///
    /// # Errors
    /// Before the message is in the workspace's log: a key that is wrong, `Busy`, a lease that is missing, a conversation that was
    /// deleted. After it, for those who wait: what the relay or a store failed with, and a lease that has ended meanwhile.
    pub async fn tell(&self, message: NarratorMessage, waits: Waits) -> Result<NarratorAccepted, NarratorError> {
        let question = Question::check(message)?;
        let place = Arc::clone(&self.shared.tasks).try_acquire_owned();
        let place = place.map_err(|_| NarratorError::Busy { limit: MAX_TASKS })?;
        let task = Task::begin(&self.shared, question).await?;
        let accepted = task.accepted();
        let work = tokio::spawn(async move {
            let outcome = task.run().await;
            drop(place);
            outcome
        });
        if waits == Waits::ForTheAnswer {
            work.await.map_err(|_| NarratorError::Gone)??;
        }
        Ok(accepted)
    }

    /// The leases of controllers.
    #[must_use]
    pub fn leases(&self) -> &Leases {
        &self.shared.leases
    }
}

impl Shared {
    /// The conversation of a workspace and an agent: always the same one, until it is deleted; then the next one.
    async fn own_conversation(&self, workspace: &str, agent: &str) -> Result<String, NarratorError> {
        /// Times that a workspace's conversation may be deleted; nobody does that a hundred times.
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
