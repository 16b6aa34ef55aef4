//! Live tails: wake the readers that follow a log when it has grown, and keep a running turn's newest events for them.
//!
//! The log itself is authoritative. What is kept here was committed before, is bounded, and is dropped when its turn
//! ends.

mod recent_events;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

pub(crate) use recent_events::LogGrowth;
use recent_events::RecentEvents;

use crate::{Event, StoreError, error::Result};

/// A subscription to one conversation's log: wakes its reader when there is more, and often has the events as well.
pub struct Tail {
    conversation: String,
    subscriptions: Subscriptions,
    receiver: watch::Receiver<RecentEvents>,
}

impl Tail {
    /// Returns the conversation that it follows.
    pub fn conversation(&self) -> &str {
        &self.conversation
    }

    /// Returns the number of the newest event that was committed since the tail was made; `None` before the first.
    pub fn last_seq(&self) -> Option<u64> {
        self.receiver.borrow().last_seq()
    }

    /// Returns the events with `seq > after`, at most `limit`. Returns `None` if they are no longer in memory.
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
        self.subscriptions.unsubscribe(&self.conversation);
    }
}

/// Who follows which log: one channel for each conversation that has a subscriber.
#[derive(Clone, Default)]
pub(crate) struct Subscriptions {
    channels: Arc<Mutex<Channels>>,
}

#[derive(Default)]
struct Channels {
    closed: bool,
    by_conversation: HashMap<String, Channel>,
}

struct Channel {
    sender: watch::Sender<RecentEvents>,
    subscribers: usize,
}

impl Subscriptions {
    /// Subscribes to a conversation's log.
    pub(crate) fn subscribe(&self, conversation: &str) -> Tail {
        let mut channels = self.lock();
        let receiver = if channels.closed {
            watch::channel(RecentEvents::default()).1
        } else {
            let channel = channels
                .by_conversation
                .entry(conversation.to_owned())
                .or_insert_with(|| Channel {
                    sender: watch::channel(RecentEvents::default()).0,
                    subscribers: 0,
                });
            channel.subscribers += 1;
            channel.sender.subscribe()
        };
        Tail {
            conversation: conversation.to_owned(),
            subscriptions: self.clone(),
            receiver,
        }
    }

    /// Wakes a conversation's subscribers: its log has grown.
    pub(crate) fn notify(&self, conversation: &str, growth: LogGrowth) {
        self.notify_with(conversation, || growth);
    }

    /// Wakes a conversation's subscribers with what `growth` returns; it is only called if there are any.
    pub(crate) fn notify_with(&self, conversation: &str, growth: impl FnOnce() -> LogGrowth) {
        if let Some(channel) = self.lock().by_conversation.get(conversation) {
            channel.sender.send_modify(|recent| recent.grow(growth()));
        }
    }

    /// Ends every tail, when the writer has ended.
    pub(crate) fn close(&self) {
        let mut channels = self.lock();
        channels.closed = true;
        channels.by_conversation.clear();
    }

    /// Returns how many conversations have a subscriber.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().by_conversation.len()
    }

    fn unsubscribe(&self, conversation: &str) {
        let mut channels = self.lock();
        let Some(channel) = channels.by_conversation.get_mut(conversation) else {
            return;
        };
        channel.subscribers -= 1;
        if channel.subscribers == 0 {
            channels.by_conversation.remove(conversation);
        }
    }

    /// A panic elsewhere can't leave the map half changed: each change is one insert, count or removal.
    fn lock(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriptions").finish_non_exhaustive()
    }
}
