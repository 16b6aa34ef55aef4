//! Flushes memtables: inserts the events of running turns into the database.

use rusqlite::named_params;

use super::{Apply, Batch};
use crate::{StoreError, error::Result, queries, token_ids, wal::Effect};

/// Flushes the memtables of some conversations.
#[derive(Debug)]
pub(crate) struct Flush {
    pub(crate) conversations: Vec<String>,
}

impl Apply for Flush {
    type Output = ();

    fn apply(&self, batch: &mut Batch<'_>) -> Result<()> {
        self.conversations.iter().try_for_each(|id| batch.flush(id))
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn is_large(&self) -> bool {
        self.conversations.len() > 1
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
            let mut ids = Vec::new();
            token_ids::encode(&event.ids, &mut ids);
            self.execute(
                "an event",
                "INSERT INTO event (conversation, seq, turn, kind, at, json, part, ids)
                 VALUES (:conversation, :seq, :turn, :kind, :at, :json, :part, :ids)",
                named_params! {
                    ":conversation": conversation.key, ":seq": event.seq.cast_signed(),
                    ":turn": event.turn.cast_signed(), ":kind": event.kind, ":at": event.at_ms, ":json": event.json,
                    ":part": event.text, ":ids": (!ids.is_empty()).then_some(ids),
                },
            )?;
        }
        let mut last_seq = conversation.last_seq;
        if let Some(last) = events.last() {
            last_seq = last.seq;
            self.set_end(conversation.key, last_seq, Some(last.at_ms))?;
        }
        self.effects.push(Effect::Flushed {
            conversation: id.to_owned(),
            last_seq,
        });
        Ok(())
    }
}
