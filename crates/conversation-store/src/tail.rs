//! The live tail: tells readers that a log has grown, and keeps what a running turn has just added.
//!
//! The log itself is the truth. What is kept here was committed before, is bounded, and is let go when its turn ends.

mod recent;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

pub(crate) use recent::Growth;
use recent::Recent;

use crate::{Event, StoreError, error::Result};

/// Follows one conversation's log: says that there is more, and often what.
pub struct Tail {
    conversation: String,
    tails: Tails,
    receiver: watch::Receiver<Recent>,
}

impl Tail {
    /// Returns the conversation that it follows.
    pub fn conversation(&self) -> &str {
        &self.conversation
    }

    /// Returns the number of the newest event that this tail has heard of; `None` before the first.
    pub fn last_seq(&self) -> Option<u64> {
        self.receiver.borrow().last_seq()
    }

    /// Returns the events with `seq > after`, at most `limit`, if they are still in memory.
    pub(crate) fn recent(&self, after: u64, limit: usize) -> Option<Vec<Event>> {
        self.receiver.borrow().after(after, limit)
    }

    /// Waits until something was committed, or the conversation deleted, since the tail was made or this last
    /// returned. Cancel safe: a wait that is dropped loses nothing.
    ///
    /// # Errors
    /// `Closed` when the store is.
    pub async fn changed(&mut self) -> Result<()> {
        self.receiver.changed().await.map_err(|_| StoreError::Closed)
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail")
            .field("conversation", &self.conversation)
            .finish_non_exhaustive()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.tails.unfollow(&self.conversation);
    }
}

/// Who follows what: one entry for each conversation that has a follower.
#[derive(Clone, Default)]
pub(crate) struct Tails {
    followed: Arc<Mutex<Followed>>,
}

#[derive(Default)]
struct Followed {
    closed: bool,
    conversations: HashMap<String, Entry>,
}

struct Entry {
    sender: watch::Sender<Recent>,
    followers: usize,
}

impl Tails {
    /// Starts to follow a conversation.
    pub(crate) fn follow(&self, conversation: &str) -> Tail {
        let mut followed = self.lock();
        let receiver = if followed.closed {
            watch::channel(Recent::default()).1
        } else {
            let entry = followed
                .conversations
                .entry(conversation.to_owned())
                .or_insert_with(|| Entry {
                    sender: watch::channel(Recent::default()).0,
                    followers: 0,
                });
            entry.followers += 1;
            entry.sender.subscribe()
        };
        Tail {
            conversation: conversation.to_owned(),
            tails: self.clone(),
            receiver,
        }
    }

    /// Wakes a conversation's followers: its log has grown.
    pub(crate) fn wake(&self, conversation: &str, growth: Growth) {
        self.wake_with(conversation, || growth);
    }

    /// Wakes them, if there are any, with what `grown` makes.
    pub(crate) fn wake_with(&self, conversation: &str, grown: impl FnOnce() -> Growth) {
        if let Some(entry) = self.lock().conversations.get(conversation) {
            entry.sender.send_modify(|recent| recent.grow(grown()));
        }
    }

    /// Ends every tail, when the writer is gone.
    pub(crate) fn close(&self) {
        let mut followed = self.lock();
        followed.closed = true;
        followed.conversations.clear();
    }

    /// Returns how many conversations are followed.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().conversations.len()
    }

    fn unfollow(&self, conversation: &str) {
        let mut followed = self.lock();
        let Some(entry) = followed.conversations.get_mut(conversation) else {
            return;
        };
        entry.followers -= 1;
        if entry.followers == 0 {
            followed.conversations.remove(conversation);
        }
    }

    /// A panic elsewhere can't leave the map half changed: each change is one insert, count or removal.
    fn lock(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tails").finish_non_exhaustive()
    }
}
