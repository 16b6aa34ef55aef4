//! Appends events that no running turn writes.

use super::{
    Batch,
    batch::check_size,
    events::{LogAppend, TurnRef},
};
use crate::{NewEvent, Publish, SeqRange, StoreError, TurnKey, error::Result, queries, queries::ConversationRow};

impl Publish {
    /// Appends the events, to a new conversation if there is none.
    pub(super) fn publish(&self, batch: &mut Batch<'_>) -> Result<SeqRange> {
        check_size("events", self.events.iter().map(NewEvent::bytes).sum())?;
        let first = self.events.first().ok_or_else(|| StoreError::NothingPublished {
            conversation: self.conversation.clone(),
        })?;
        let found = queries::find(&batch.db, &self.conversation)?;
        let turn = self.find_turn(batch, found)?;
        let conversation = match found {
            Some(conversation) => conversation,
            None => batch.insert_conversation(&self.conversation, first.at_ms)?,
        };
        batch.append(&LogAppend {
            conversation: &self.conversation,
            row: conversation,
            turn: turn.zip(self.turn_id.as_deref()).map(|(key, id)| TurnRef { key, id }),
            events: &self.events,
            answer: None,
        })
    }

    fn find_turn(&self, batch: &Batch<'_>, conversation: Option<ConversationRow>) -> Result<Option<TurnKey>> {
        let Some(turn_id) = &self.turn_id else { return Ok(None) };
        let found = match conversation {
            Some(conversation) => queries::turn_key(&batch.db, conversation.key, turn_id)?,
            None => None,
        };
        found.map(Some).ok_or_else(|| StoreError::TurnNotFound {
            conversation: self.conversation.clone(),
            turn: turn_id.clone(),
        })
    }
}
