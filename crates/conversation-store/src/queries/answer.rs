//! A running turn's answer, which is stored in parts, one to an event.

use rusqlite::{Connection, named_params};

use crate::{TurnKey, error::Result, token_ids, unflushed::WalEvent};

/// An answer's text and its ids as a blob.
#[derive(Debug, Default)]
pub(crate) struct StoredAnswer {
    pub(crate) text: String,
    pub(crate) ids: Option<Vec<u8>>,
}

impl StoredAnswer {
    /// Joins the parts that were committed, or belong to this transaction.
    pub(crate) fn join_parts(db: &Connection, turn: TurnKey) -> Result<Self> {
        let mut statement = db.prepare_cached(
            "SELECT event.part, event.ids FROM turn
             JOIN event ON event.conversation = turn.conversation AND event.seq > turn.first_seq AND event.turn = turn.key
             WHERE turn.key = :turn AND event.part IS NOT NULL ORDER BY event.seq",
        )?;
        let mut rows = statement.query(named_params! { ":turn": turn.cast_signed() })?;
        let mut answer = Self::default();
        while let Some(row) = rows.next()? {
            answer
                .text
                .push_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?);
            if let Some(ids) = row.get_ref(1)?.as_blob_or_null().map_err(rusqlite::Error::from)? {
                answer.ids.get_or_insert_default().extend_from_slice(ids);
            }
        }
        Ok(answer)
    }

    /// Appends the parts that are not flushed yet.
    pub(crate) fn extend(&mut self, turn: TurnKey, events: &[WalEvent]) {
        for event in events.iter().filter(|event| event.turn == turn) {
            self.text.push_str(event.text.as_deref().unwrap_or_default());
            if !event.ids.is_empty() {
                token_ids::encode(&event.ids, self.ids.get_or_insert_default());
            }
        }
    }
}
