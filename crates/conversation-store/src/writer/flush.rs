//! Moves what running turns have said from the journal to its place in the database.

use rusqlite::named_params;

use super::{Apply, Batch};
use crate::{StoreError, error::Result, live::Step, queries, token_ids};

/// Moves what is held of some conversations.
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
    /// Moves what is held of a conversation and not yet moved in this transaction.
    pub(super) fn flush(&mut self, id: &str) -> Result<()> {
        let unflushed = self.live.unflushed(id);
        if unflushed.after(id, 0).is_empty() {
            return Ok(());
        }
        let conversation = match queries::find(&self.db, id) {
            Ok(Some(conversation)) => conversation,
            // Deleted earlier in this transaction: its rows would be removed again.
            Ok(None) | Err(StoreError::Gone { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let events = unflushed.after(id, conversation.last_seq);
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
        self.steps.push(Step::Flushed {
            conversation: id.to_owned(),
            last_seq,
        });
        Ok(())
    }
}
