//! How far each conversation's turns have been reported as evicted.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use conversation_store::TurnKey;

/// Conversations whose cursors are kept: more than an engine keeps caches of. A lost cursor only repeats names.
const MAX_CURSORS: usize = 4_096;

/// The newest evicted turn of each conversation. Empty when the process starts, as the engines' caches are.
#[derive(Debug, Default)]
pub(crate) struct EvictionCursors {
    evicted_through: Mutex<HashMap<String, TurnKey>>,
}

impl EvictionCursors {
    /// Returns the newest evicted turn of a conversation, if any was.
    pub(crate) fn get(&self, conversation: &str) -> Option<TurnKey> {
        self.lock().get(conversation).copied()
    }

    /// Sets the newest evicted turn of a conversation.
    pub(crate) fn set(&self, conversation: &str, key: TurnKey) {
        let mut cursors = self.lock();
        if cursors.len() >= MAX_CURSORS {
            cursors.clear();
        }
        cursors.insert(conversation.to_owned(), key);
    }

    /// Forgets that any turn of a conversation was evicted.
    pub(crate) fn clear(&self, conversation: &str) {
        self.lock().remove(conversation);
    }

    /// Locks the cursors, also after a panic: every change under the lock is complete before anything can panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, TurnKey>> {
        self.evicted_through.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
