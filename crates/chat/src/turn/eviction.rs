//! Names the turns that leave the model's view while it answers.
//!
//! Tags of an engine and truncated turns go in, ids of turns come out, each turn once.

use std::sync::Arc;

use conversation_store::{PathLimit, PathStart, StoreError, TurnKey};
use engine::{Request, TurnTag};
use protocol::Evicted;

use super::context::TurnContext;
use crate::prompt::{self, Truncated};

/// Turns that one event names: far more than a window holds, so only a lost cursor reaches it.
const MAX_NAMED: usize = 256;
/// Bytes of stored turns that are read for their names.
const MAX_READ_BYTES: usize = 4 << 20;

/// The evictions of one answer, within its epoch.
pub(super) struct EvictionTracker {
    context: Arc<TurnContext>,
    /// The turns that were left out of the request to a bounded model.
    truncated: Option<Truncated>,
    /// The first turn of the epoch, before which no eviction is reported; `None` before it is known.
    first: Option<TurnKey>,
}

impl EvictionTracker {
    /// Begins an answer. An engine without a cache has evicted nothing, so the cursor is reset. A bounded model, which
    /// never has a cache, keeps it: its truncated turns stay evicted.
    pub(super) fn new(context: Arc<TurnContext>, request: &Request, truncated: Option<Truncated>) -> Self {
        if request.continues_from.is_none() && truncated.is_none() {
            context.services.eviction_cursors.clear(&context.conversation);
        }
        Self {
            context,
            truncated,
            first: None,
        }
    }

    /// Sets the first turn of the epoch.
    pub(super) fn starts_with(&mut self, first: TurnTag) {
        self.first = Some(first.0);
    }

    /// Returns the truncated turns, unless an earlier answer reported them all.
    pub(super) async fn newly_truncated(&mut self) -> Result<Option<Evicted>, StoreError> {
        let Some(truncated) = &self.truncated else {
            return Ok(None);
        };
        self.first = None;
        let cursor = self.context.services.eviction_cursors.get(&self.context.conversation);
        let tokens = truncated.tokens_after(cursor);
        let turns = self.newly_evicted(Some(truncated.through)).await?;
        Ok((!turns.is_empty()).then_some(Evicted { tokens, turns }))
    }

    /// Returns the ids of the turns that were evicted since the last call, oldest first.
    pub(super) async fn newly_evicted(&self, through: Option<TurnTag>) -> Result<Vec<String>, StoreError> {
        let (services, conversation) = (&self.context.services, self.context.conversation.as_str());
        let cursor = services.eviction_cursors.get(conversation);
        // Keys grow along a path.
        let Some(TurnTag(newest)) = through.filter(|tag| cursor.is_none_or(|cursor| tag.0 > cursor)) else {
            return Ok(Vec::new());
        };
        let limit = PathLimit {
            turns: MAX_NAMED,
            bytes: MAX_READ_BYTES,
            until: cursor,
        };
        let path = services.store.path(conversation, PathStart::Turn(newest), limit);
        let path = path.await?;
        services.eviction_cursors.set(conversation, newest);
        let in_epoch = path
            .into_iter()
            .take_while(|turn| self.first.is_none_or(|first| turn.key >= first));
        let mut turns: Vec<String> = in_epoch.filter(prompt::is_part).map(|turn| turn.turn_id).collect();
        turns.reverse();
        Ok(turns)
    }
}
