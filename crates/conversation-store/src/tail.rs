//! The live tail: tells readers that a log has grown, and nothing else. The log itself is the truth.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::{StoreError, error::Result};

/// Follows one conversation's log. It says only that there is more; what, is read from the store.
pub struct Tail {
    conversation: String,
    tails: Tails,
    receiver: watch::Receiver<Option<u64>>,
}

impl Tail {
    /// Returns the number of the newest event that this tail has heard of; `None` before the first.
    pub fn last_seq(&self) -> Option<u64> {
        *self.receiver.borrow()
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
    sender: watch::Sender<Option<u64>>,
    followers: usize,
}

impl Tails {
    /// Starts to follow a conversation.
    pub(crate) fn follow(&self, conversation: &str) -> Tail {
        let mut followed = self.lock();
        let receiver = if followed.closed {
            watch::channel(None).1
        } else {
            let entry = followed
                .conversations
                .entry(conversation.to_owned())
                .or_insert_with(|| Entry {
                    sender: watch::channel(None).0,
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

    /// Wakes a conversation's followers: its log now ends at `last_seq`.
    pub(crate) fn wake(&self, conversation: &str, last_seq: u64) {
        if let Some(entry) = self.lock().conversations.get(conversation) {
            entry.sender.send_replace(Some(last_seq));
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
