//! The transaction that commands are applied in, and what all of them need of it.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, Transaction, TransactionBehavior, named_params};

use super::MAX_COMMAND_BYTES;
use crate::{NewEvent, Seqs, StoreError, TurnKey, TurnState, error::Result, queries::ConversationRow};

/// An open transaction.
pub(crate) struct Batch<'a> {
    pub(crate) db: Transaction<'a>,
    pub(super) holes: &'a mut HashSet<TurnKey>,
    woken: Woken,
}

/// What is to be done once a transaction is committed.
#[derive(Debug, Default)]
pub(super) struct Woken {
    /// Conversations whose logs have grown or gone, each with its newest event's number.
    pub(super) conversations: HashMap<String, u64>,
    /// A conversation was deleted; its rows are still there.
    pub(super) deleted: bool,
}

/// A running turn's place in the state machine.
pub(super) struct TurnRow {
    pub(super) state: TurnState,
}

impl<'a> Batch<'a> {
    /// Begins a transaction that may write at once.
    pub(super) fn begin(connection: &'a mut Connection, holes: &'a mut HashSet<TurnKey>) -> Result<Self> {
        let db = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::writing("to the conversation database"))?;
        Ok(Self {
            db,
            holes,
            woken: Woken::default(),
        })
    }

    /// Commits; what was written is there for readers from now on.
    pub(super) fn commit(self) -> Result<Woken> {
        self.db
            .commit()
            .map_err(StoreError::writing("to the conversation database"))?;
        Ok(self.woken)
    }

    /// Runs one prepared statement.
    pub(super) fn execute(
        &self,
        what: &'static str,
        sql: &str,
        params: &[(&str, &dyn rusqlite::ToSql)],
    ) -> Result<usize> {
        let run = || self.db.prepare_cached(sql)?.execute(params);
        run().map_err(StoreError::writing(what))
    }

    /// Makes a conversation, empty.
    pub(super) fn insert_conversation(&self, id: &str, at_ms: i64) -> Result<ConversationRow> {
        self.execute(
            "a conversation",
            "INSERT INTO conversation (id, created_at, updated_at) VALUES (:id, :at, :at)",
            named_params! { ":id": id, ":at": at_ms },
        )?;
        Ok(ConversationRow {
            key: self.db.last_insert_rowid(),
            head: None,
            last_seq: 0,
        })
    }

    /// Appends events to a log and numbers them.
    pub(super) fn append_events(
        &mut self,
        (id, conversation): (&str, ConversationRow),
        turn: Option<TurnKey>,
        events: &[NewEvent],
    ) -> Result<Seqs> {
        let mut seq = conversation.last_seq;
        for event in events {
            seq += 1;
            self.execute(
                "an event",
                "INSERT INTO event (conversation, seq, turn, kind, at, json)
                 VALUES (:conversation, :seq, :turn, :kind, :at, :json)",
                named_params! {
                    ":conversation": conversation.key, ":seq": seq.cast_signed(), ":turn": turn.map(u64::cast_signed),
                    ":kind": event.kind, ":at": event.at_ms, ":json": event.json,
                },
            )?;
        }
        let updated_at = events.last().map(|event| event.at_ms);
        self.execute(
            "a conversation",
            "UPDATE conversation SET last_seq = :seq, updated_at = coalesce(:at, updated_at) WHERE key = :key",
            named_params! { ":seq": seq.cast_signed(), ":at": updated_at, ":key": conversation.key },
        )?;
        self.wake(id, seq);
        Ok(Seqs {
            first: conversation.last_seq + 1,
            last: seq,
        })
    }

    /// Reads the state of a turn of that conversation.
    pub(super) fn turn(&self, id: &str, conversation: i64, turn: TurnKey) -> Result<TurnRow> {
        let mut statement = self
            .db
            .prepare_cached("SELECT state FROM turn WHERE key = :key AND conversation = :conversation")?;
        let params = named_params! { ":key": turn.cast_signed(), ":conversation": conversation };
        let mut rows = statement.query(params)?;
        let Some(row) = rows.next()? else {
            return Err(StoreError::TurnNotFound {
                conversation: id.to_owned(),
                turn: turn.to_string(),
            });
        };
        let state = row.get_ref(0)?.as_str().ok().and_then(TurnState::from_name);
        Ok(TurnRow {
            state: state.ok_or(StoreError::BadRecord { turn, column: "state" })?,
        })
    }

    /// Has the conversation's followers woken after the commit.
    pub(super) fn wake(&mut self, conversation: &str, last_seq: u64) {
        match self.woken.conversations.get_mut(conversation) {
            Some(seq) => *seq = last_seq,
            None => {
                self.woken.conversations.insert(conversation.to_owned(), last_seq);
            }
        }
    }

    /// Has a deleted conversation's rows removed after the commit.
    pub(super) fn remove_later(&mut self) {
        self.woken.deleted = true;
    }
}

/// Refuses a command that is too large to be stored at once.
pub(super) fn check_size(what: &'static str, bytes: usize) -> Result<()> {
    if bytes > MAX_COMMAND_BYTES {
        return Err(StoreError::TooLarge {
            what,
            bytes,
            limit: MAX_COMMAND_BYTES,
        });
    }
    Ok(())
}
