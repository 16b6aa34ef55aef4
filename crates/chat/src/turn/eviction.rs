//! Tracks which turns have left the engine's view, by its tags.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use conversation_store::{PathLimit, PathStart, StoreError, TurnKey};
use engine::{Request, TurnTag};

use super::TurnContext;
use crate::prompt::{self, Truncated};

/// Conversations whose cursors are kept: more than an engine keeps caches of. A lost cursor only repeats names.
const MAX_CURSORS: usize = 4_096;
/// Turns that one event names: far more than a window holds, so only a lost cursor reaches it.
const MAX_NAMED: usize = 256;
/// Bytes of stored turns that are read for their names.
const MAX_READ_BYTES: usize = 4 << 20;

/// The newest evicted turn of each conversation. Empty when the process starts, as the engines' caches are.
#[derive(Debug, Default)]
pub(crate) struct EvictionCursors {
    evicted_through: Mutex<HashMap<String, TurnKey>>,
}

impl EvictionCursors {
    fn get(&self, conversation: &str) -> Option<TurnKey> {
        self.lock().get(conversation).copied()
    }

    fn set(&self, conversation: &str, key: TurnKey) {
        let mut cursors = self.lock();
        if cursors.len() >= MAX_CURSORS {
            cursors.clear();
        }
        cursors.insert(conversation.to_owned(), key);
    }

    fn clear(&self, conversation: &str) {
        self.lock().remove(conversation);
    }

    /// Locks the cursors, also after a panic: every change under the lock is complete before anything can panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, TurnKey>> {
        self.evicted_through.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The evictions of one answer, within its epoch.
pub(super) struct EvictionTracker<'a> {
    context: &'a TurnContext,
    /// The first turn of the epoch, once known.
    first: Option<TurnKey>,
}

impl<'a> EvictionTracker<'a> {
    /// Begins an answer. An engine without a cache has evicted nothing, so the cursor is reset. A bounded model, which
    /// never has a cache, keeps it: its truncated turns stay evicted.
    pub(super) fn new(context: &'a TurnContext, request: &Request, is_truncated: bool) -> Self {
        if request.continues_from.is_none() && !is_truncated {
            context.shared.eviction_cursors.clear(&context.conversation);
        }
        Self { context, first: None }
    }

    /// Sets the first turn of the epoch, before which no eviction is reported.
    pub(super) fn starts_with(&mut self, first: TurnTag) {
        self.first = Some(first.0);
    }

    /// Returns the truncated turns that were not reported before, with their tokens.
    pub(super) async fn newly_truncated(&mut self, truncated: &Truncated) -> Result<(Vec<String>, u64), StoreError> {
        self.first = None;
        let cursor = self.context.shared.eviction_cursors.get(&self.context.conversation);
        let turns = self.newly_evicted(Some(truncated.through)).await?;
        Ok((turns, truncated.tokens_after(cursor)))
    }

    /// Returns the ids of the turns that were evicted since the last call, oldest first.
    pub(super) async fn newly_evicted(&self, through: Option<TurnTag>) -> Result<Vec<String>, StoreError> {
        let (shared, conversation) = (&self.context.shared, self.context.conversation.as_str());
        let cursor = shared.eviction_cursors.get(conversation);
        // Keys grow along a path.
        let Some(TurnTag(newest)) = through.filter(|tag| cursor.is_none_or(|cursor| tag.0 > cursor)) else {
            return Ok(Vec::new());
        };
        let limit = PathLimit {
            turns: MAX_NAMED,
            bytes: MAX_READ_BYTES,
            until: cursor,
        };
        let path = shared.store.path(conversation, PathStart::Turn(newest), limit).await?;
        shared.eviction_cursors.set(conversation, newest);
        let in_epoch = path
            .into_iter()
            .take_while(|turn| self.first.is_none_or(|first| turn.key >= first));
        let mut turns: Vec<String> = in_epoch.filter(prompt::is_part).map(|turn| turn.turn_id).collect();
        turns.reverse();
        Ok(turns)
    }
}
