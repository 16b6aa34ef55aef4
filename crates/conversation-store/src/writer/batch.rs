//! The transaction that commands run in, and the writes that several of them share.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, Transaction, TransactionBehavior, named_params};

use crate::{
    Event, StoreError, TurnKey, TurnState,
    error::Result,
    queries::ConversationRow,
    tail::LogGrowth,
    wal::{Effect, Wal},
};

/// The most bytes of one command: twice what a message, an agent's file and their JSON escapes take.
const MAX_COMMAND_BYTES: usize = 8 << 20;

/// An open transaction, with what is to be done after its commit.
pub(crate) struct Batch<'a> {
    pub(crate) db: Transaction<'a>,
    pub(super) failed_turns: &'a mut HashSet<TurnKey>,
    pub(super) wal: &'a Wal,
    after: AfterCommit,
}

/// What is to be done after a commit.
#[derive(Debug, Default)]
pub(super) struct AfterCommit {
    /// What the transaction changes in memory, in order.
    pub(super) effects: Vec<Effect>,
    /// Conversations whose subscribers are to be woken.
    pub(super) growths: HashMap<String, LogGrowth>,
    /// There are rows of a deleted conversation, or unused snapshots of agents.
    pub(super) removal_pending: bool,
}

/// A turn's stored state and id.
pub(super) struct TurnRow {
    pub(super) state: TurnState,
    /// The id that clients know.
    pub(super) id: String,
}

impl<'a> Batch<'a> {
    /// Begins a transaction that holds the write lock from the start.
    pub(super) fn begin(
        connection: &'a mut Connection,
        failed_turns: &'a mut HashSet<TurnKey>,
        wal: &'a Wal,
    ) -> Result<Self> {
        let db = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::writing("to the conversation database"))?;
        Ok(Self {
            db,
            failed_turns,
            wal,
            after: AfterCommit::default(),
        })
    }

    /// Commits. Readers see what was written from now on.
    pub(super) fn commit(self) -> Result<AfterCommit> {
        self.db
            .commit()
            .map_err(StoreError::writing("to the conversation database"))?;
        Ok(self.after)
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

    /// Inserts an empty conversation.
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

    /// Reads the state of a turn of that conversation.
    pub(super) fn turn(&self, id: &str, conversation: i64, turn: TurnKey) -> Result<TurnRow> {
        let mut statement = self
            .db
            .prepare_cached("SELECT state, id FROM turn WHERE key = :key AND conversation = :conversation")?;
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
            id: row.get(1)?,
        })
    }

    /// Has an effect applied to the write-ahead log after the commit.
    pub(super) fn apply_later(&mut self, effect: Effect) {
        self.after.effects.push(effect);
    }

    /// Has a turn's later appends go through the writer from the commit on.
    pub(super) fn leave_fast_path(&mut self, conversation: &str, turn: TurnKey) {
        self.apply_later(Effect::TurnLeavesFastPath {
            conversation: conversation.to_owned(),
            turn,
        });
    }

    /// Has the conversation's subscribers woken after the commit with events that were added to its log, which ends at
    /// `last_seq`.
    pub(super) fn notify_of(&mut self, conversation: &str, last_seq: u64, events: impl Iterator<Item = Event>) {
        let growth = self.after.growths.entry(conversation.to_owned()).or_default();
        growth.last_seq = last_seq;
        growth.events.extend(events);
    }

    /// Has the conversation's subscribers woken after the commit. They read the log, which ends at `last_seq`, since
    /// none of its events are kept in memory.
    pub(super) fn notify(&mut self, conversation: &str, last_seq: u64) {
        let growth = LogGrowth {
            last_seq,
            events: Vec::new(),
        };
        self.after.growths.insert(conversation.to_owned(), growth);
    }

    /// Has rows that are no longer needed removed after the commit.
    pub(super) fn schedule_removal(&mut self) {
        self.after.removal_pending = true;
    }
}

/// Refuses a command that is over the size limit.
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
