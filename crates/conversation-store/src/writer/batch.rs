//! The transaction that commands run in, and the writes that several of them share.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, Transaction, TransactionBehavior, named_params};

use super::MAX_COMMAND_BYTES;
use crate::{
    AnswerDelta, AppendEvents, Event, NewEvent, Seqs, StoreError, TurnKey, TurnState,
    error::Result,
    queries::ConversationRow,
    tail::LogGrowth,
    token_ids,
    wal::{Effect, Wal},
};

/// An open transaction, with what is to be done after its commit.
pub(crate) struct Batch<'a> {
    pub(crate) db: Transaction<'a>,
    pub(super) failed_turns: &'a mut HashSet<TurnKey>,
    pub(super) wal: &'a Wal,
    /// Applied to `wal` after the commit.
    pub(super) effects: Vec<Effect>,
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

/// The turn that events belong to.
#[derive(Clone, Copy)]
pub(super) struct TurnRef<'a> {
    pub(super) key: TurnKey,
    pub(super) id: &'a str,
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
            effects: Vec::new(),
            after: AfterCommit::default(),
        })
    }

    /// Commits. Readers see what was written from now on.
    pub(super) fn commit(self) -> Result<AfterCommit> {
        self.db
            .commit()
            .map_err(StoreError::writing("to the conversation database"))?;
        Ok(AfterCommit {
            effects: self.effects,
            ..self.after
        })
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

    /// Appends events to a log and numbers them.
    pub(super) fn append_events(
        &mut self,
        (id, conversation): (&str, ConversationRow),
        turn: Option<TurnRef<'_>>,
        events: &[NewEvent],
    ) -> Result<Seqs> {
        let first = conversation.last_seq + 1;
        for (event, seq) in events.iter().zip(first..) {
            self.insert_event((conversation.key, seq), turn, event)?;
        }
        self.note_growth((id, conversation.key), turn, (first, events))
    }

    /// Appends events of a running turn. The first event's row holds what they add to the answer: a token is one row,
    /// and no row is ever rewritten, so its cost doesn't depend on the tokens before it.
    pub(super) fn append_answer(
        &mut self,
        (id, conversation): (&str, ConversationRow),
        turn: TurnRef<'_>,
        append: &AppendEvents,
    ) -> Result<Seqs> {
        let first = conversation.last_seq + 1;
        for (event, seq) in append.events.iter().zip(first..) {
            match &append.answer {
                Some(answer) if seq == first => self.insert_part((conversation.key, seq), turn, (event, answer))?,
                _ => self.insert_event((conversation.key, seq), Some(turn), event)?,
            }
        }
        self.note_growth((id, conversation.key), Some(turn), (first, &append.events))
    }

    fn insert_event(&self, (conversation, seq): (i64, u64), turn: Option<TurnRef<'_>>, event: &NewEvent) -> Result<()> {
        self.execute(
            "an event",
            "INSERT INTO event (conversation, seq, turn, kind, at, json)
             VALUES (:conversation, :seq, :turn, :kind, :at, :json)",
            named_params! {
                ":conversation": conversation, ":seq": seq.cast_signed(),
                ":turn": turn.map(|turn| turn.key.cast_signed()),
                ":kind": event.kind, ":at": event.at_ms, ":json": event.json,
            },
        )
        .map(drop)
    }

    fn insert_part(
        &self,
        (conversation, seq): (i64, u64),
        turn: TurnRef<'_>,
        (event, answer): (&NewEvent, &AnswerDelta),
    ) -> Result<()> {
        let mut ids = Vec::new();
        token_ids::encode(&answer.ids, &mut ids);
        self.execute(
            "a piece of an answer",
            "INSERT INTO event (conversation, seq, turn, kind, at, json, part, ids)
             VALUES (:conversation, :seq, :turn, :kind, :at, :json, :part, :ids)",
            named_params! {
                ":conversation": conversation, ":seq": seq.cast_signed(), ":turn": turn.key.cast_signed(),
                ":kind": event.kind, ":at": event.at_ms, ":json": event.json,
                ":part": answer.text, ":ids": (!ids.is_empty()).then_some(ids),
            },
        )
        .map(drop)
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

    /// Stores a log's new end, and has its subscribers woken after the commit with what was added.
    fn note_growth(
        &mut self,
        (id, key): (&str, i64),
        turn: Option<TurnRef<'_>>,
        (first, events): (u64, &[NewEvent]),
    ) -> Result<Seqs> {
        let last = first + events.len() as u64 - 1;
        self.set_end(key, last, events.last().map(|event| event.at_ms))?;
        self.effects.push(Effect::LogGrew {
            conversation: id.to_owned(),
            last_seq: last,
        });
        let growth = self.growth(id);
        growth.last_seq = last;
        growth
            .events
            .extend(events.iter().zip(first..).map(|(event, seq)| Event {
                seq,
                kind: event.kind.clone(),
                turn_id: turn.map(|turn| turn.id.to_owned()),
                at_ms: event.at_ms,
                json: event.json.clone(),
            }));
        Ok(Seqs { first, last })
    }

    /// Stores where a log ends.
    pub(super) fn set_end(&self, conversation: i64, last_seq: u64, at_ms: Option<i64>) -> Result<()> {
        self.execute(
            "a conversation",
            "UPDATE conversation SET last_seq = :seq, updated_at = coalesce(:at, updated_at) WHERE key = :key",
            named_params! { ":seq": last_seq.cast_signed(), ":at": at_ms, ":key": conversation },
        )
        .map(drop)
    }

    /// Has a turn's later appends go through the writer from the commit on.
    pub(super) fn leave_fast_path(&mut self, conversation: &str, turn: TurnKey) {
        self.effects.push(Effect::TurnLeavesFastPath {
            conversation: conversation.to_owned(),
            turn,
        });
    }

    /// Has the conversation's subscribers woken after the commit. They read the log, which ends at `last_seq`, since
    /// nothing of it is kept in memory.
    pub(super) fn notify(&mut self, conversation: &str, last_seq: u64) {
        *self.growth(conversation) = LogGrowth {
            last_seq,
            events: Vec::new(),
        };
    }

    fn growth(&mut self, conversation: &str) -> &mut LogGrowth {
        self.after.growths.entry(conversation.to_owned()).or_default()
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
