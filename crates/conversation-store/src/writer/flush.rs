//! Flushes memtables: inserts the events of running turns into the database.

use super::{Batch, events::EventRow};
use crate::{StoreError, error::Result, queries, wal::Effect};

/// Flushes the memtables of some conversations.
#[derive(Debug)]
pub(crate) struct Flush {
    pub(crate) conversations: Vec<String>,
}

impl Flush {
    /// Flushes one memtable after the other.
    pub(super) fn flush(&self, batch: &mut Batch<'_>) -> Result<()> {
        self.conversations.iter().try_for_each(|id| batch.flush(id))
    }
}

impl Batch<'_> {
    /// Inserts a conversation's unflushed events, except for those that this transaction has already inserted.
    pub(super) fn flush(&mut self, id: &str) -> Result<()> {
        let memtable = self.wal.snapshot(id);
        if memtable.after(id, 0).is_empty() {
            return Ok(());
        }
        let conversation = match queries::find(&self.db, id) {
            Ok(Some(conversation)) => conversation,
            // It was deleted earlier in this transaction, and new rows would only be removed again.
            Ok(None) | Err(StoreError::Gone { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let events = memtable.after(id, conversation.last_seq);
        for event in events {
            let row = EventRow {
                conversation: conversation.key,
                seq: event.seq,
                turn: Some(event.turn),
                kind: &event.kind,
                at_ms: event.at_ms,
                json: &event.json,
                part: event.text.as_deref(),
                ids: &event.ids,
            };
            self.insert_event("an event", &row)?;
        }
        let mut last_seq = conversation.last_seq;
        if let Some(last) = events.last() {
            last_seq = last.seq;
            self.set_log_end(conversation.key, last_seq, Some(last.at_ms))?;
        }
        self.apply_later(Effect::Flushed {
            conversation: id.to_owned(),
            last_seq,
        });
        Ok(())
    }
}
