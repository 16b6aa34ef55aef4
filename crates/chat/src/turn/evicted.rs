//! Which turns have left the engine's view, from its tags.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use conversation_store::{PathLimit, PathStart, StoreError, TurnKey};
use engine::{Request, TurnTag};

use super::Live;
use crate::prompt::{self, LeftOut};

/// Conversations whose marks are kept: more than an engine keeps caches of. A mark that is lost costs a repeated name.
const MAX_MARKS: usize = 4_096;
/// Turns that one event names; far more than a window holds, so only a lost mark ever meets it.
const MAX_NAMED: usize = 256;
/// Bytes of stored turns that are read to name them.
const MAX_READ_BYTES: usize = 4 << 20;

/// The newest turn of each conversation that has left the view. As the engine's caches, it begins anew with the process.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    gone_through: Mutex<HashMap<String, TurnKey>>,
}

impl Marks {
    fn get(&self, conversation: &str) -> Option<TurnKey> {
        self.lock().get(conversation).copied()
    }

    fn set(&self, conversation: &str, key: TurnKey) {
        let mut marks = self.lock();
        if marks.len() >= MAX_MARKS {
            marks.clear();
        }
        marks.insert(conversation.to_owned(), key);
    }

    fn clear(&self, conversation: &str) {
        self.lock().remove(conversation);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, TurnKey>> {
        self.gone_through.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The epoch that an answer belongs to.
pub(super) struct Epoch<'a> {
    live: &'a Live,
    first: Option<TurnKey>,
}

impl<'a> Epoch<'a> {
    /// An engine that begins anew has evicted nothing; a bounded one always does, and what it was not shown stays unseen.
    pub(super) fn new(live: &'a Live, request: &Request, is_cut: bool) -> Self {
        if request.continues_from.is_none() && !is_cut {
            live.shared.marks.clear(&live.conversation);
        }
        Self { live, first: None }
    }

    pub(super) fn starts_with(&mut self, first: TurnTag) {
        self.first = Some(first.0);
    }

    /// The turns that a bounded model is not shown, but for those that were said before, and how many tokens they are.
    pub(super) async fn left_out(&mut self, left_out: &LeftOut) -> Result<(Vec<String>, u64), StoreError> {
        self.first = None;
        let mark = self.live.shared.marks.get(&self.live.conversation);
        let turns = self.gone(Some(left_out.through)).await?;
        Ok((turns, left_out.tokens_after(mark)))
    }

    /// The turns that have gone since the last call, oldest first, by the ids that clients know.
    pub(super) async fn gone(&self, through: Option<TurnTag>) -> Result<Vec<String>, StoreError> {
        let (shared, conversation) = (&self.live.shared, self.live.conversation.as_str());
        let mark = shared.marks.get(conversation);
        // Keys grow along a path.
        let Some(TurnTag(newest)) = through.filter(|tag| mark.is_none_or(|mark| tag.0 > mark)) else {
            return Ok(Vec::new());
        };
        let limit = PathLimit {
            turns: MAX_NAMED,
            bytes: MAX_READ_BYTES,
            until: mark,
        };
        let path = shared.store.path(conversation, PathStart::Turn(newest), limit).await?;
        shared.marks.set(conversation, newest);
        let in_epoch = path
            .into_iter()
            .take_while(|turn| self.first.is_none_or(|first| turn.key >= first));
        let mut turns: Vec<String> = in_epoch.filter(prompt::is_part).map(|turn| turn.turn_id).collect();
        turns.reverse();
        Ok(turns)
    }
}
