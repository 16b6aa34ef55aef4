//! The transaction that commands are applied in, and what all of them need of it.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, Transaction, TransactionBehavior, named_params};

use super::MAX_COMMAND_BYTES;
use crate::{
    AnswerDelta, AppendEvents, Event, NewEvent, Seqs, StoreError, TurnKey, TurnState,
    error::Result,
    live::{Live, Step},
    queries::ConversationRow,
    tail::Growth,
    token_ids,
};

/// An open transaction.
pub(crate) struct Batch<'a> {
    pub(crate) db: Transaction<'a>,
    pub(super) holes: &'a mut HashSet<TurnKey>,
    pub(super) live: &'a Live,
    /// What is to be told to `live` once it is committed.
    pub(super) steps: Vec<Step>,
    woken: Woken,
}

/// What is to be done once a transaction is committed.
#[derive(Debug, Default)]
pub(super) struct Woken {
    /// What it has done to running turns.
    pub(super) steps: Vec<Step>,
    /// Conversations whose logs have grown or gone.
    pub(super) conversations: HashMap<String, Growth>,
    /// A conversation was deleted; its rows are still there.
    pub(super) deleted: bool,
}

/// A running turn's place in the state machine.
pub(super) struct TurnRow {
    pub(super) state: TurnState,
    /// The id that clients know.
    pub(super) id: String,
}

/// The turn that events belong to.
#[derive(Clone, Copy)]
pub(super) struct OfTurn<'a> {
    pub(super) key: TurnKey,
    pub(super) id: &'a str,
}

impl<'a> Batch<'a> {
    /// Begins a transaction that may write at once.
    pub(super) fn begin(
        connection: &'a mut Connection,
        holes: &'a mut HashSet<TurnKey>,
        live: &'a Live,
    ) -> Result<Self> {
        let db = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::writing("to the conversation database"))?;
        Ok(Self {
            db,
            holes,
            live,
            steps: Vec::new(),
            woken: Woken::default(),
        })
    }

    /// Commits; what was written is there for readers from now on.
    pub(super) fn commit(self) -> Result<Woken> {
        self.db
            .commit()
            .map_err(StoreError::writing("to the conversation database"))?;
        Ok(Woken {
            steps: self.steps,
            ..self.woken
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
        turn: Option<OfTurn<'_>>,
        events: &[NewEvent],
    ) -> Result<Seqs> {
        let first = conversation.last_seq + 1;
        for (event, seq) in events.iter().zip(first..) {
            self.insert_event((conversation.key, seq), turn, event)?;
        }
        self.grown((id, conversation.key), turn, (first, events))
    }

    /// Appends what a running turn has said. What it adds to the answer stands in the first event's row: a token is one row, and no
    /// row is ever rewritten, so its cost doesn't depend on those before it.
    pub(super) fn append_answer(
        &mut self,
        (id, conversation): (&str, ConversationRow),
        turn: OfTurn<'_>,
        append: &AppendEvents,
    ) -> Result<Seqs> {
        let first = conversation.last_seq + 1;
        for (event, seq) in append.events.iter().zip(first..) {
            match &append.answer {
                Some(answer) if seq == first => self.insert_part((conversation.key, seq), turn, (event, answer))?,
                _ => self.insert_event((conversation.key, seq), Some(turn), event)?,
            }
        }
        self.grown((id, conversation.key), Some(turn), (first, &append.events))
    }

    fn insert_event(&self, (conversation, seq): (i64, u64), turn: Option<OfTurn<'_>>, event: &NewEvent) -> Result<()> {
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
        turn: OfTurn<'_>,
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

    /// Notes a log's new end, and has its followers woken after the commit, with what was added.
    fn grown(
        &mut self,
        (id, key): (&str, i64),
        turn: Option<OfTurn<'_>>,
        (first, events): (u64, &[NewEvent]),
    ) -> Result<Seqs> {
        let last = first + events.len() as u64 - 1;
        self.set_end(key, last, events.last().map(|event| event.at_ms))?;
        self.steps.push(Step::Grew {
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

    /// Notes where a log ends.
    pub(super) fn set_end(&self, conversation: i64, last_seq: u64, at_ms: Option<i64>) -> Result<()> {
        self.execute(
            "a conversation",
            "UPDATE conversation SET last_seq = :seq, updated_at = coalesce(:at, updated_at) WHERE key = :key",
            named_params! { ":seq": last_seq.cast_signed(), ":at": at_ms, ":key": conversation },
        )
        .map(drop)
    }

    /// Has a turn's later appends come to the writer, or refused.
    pub(super) fn stops(&mut self, conversation: &str, turn: TurnKey) {
        self.steps.push(Step::Stops {
            conversation: conversation.to_owned(),
            turn,
        });
    }

    /// Has the conversation's followers woken after the commit, to read the log, which ends at `last_seq`.
    pub(super) fn wake(&mut self, conversation: &str, last_seq: u64) {
        *self.growth(conversation) = Growth {
            last_seq,
            events: Vec::new(),
        };
    }

    fn growth(&mut self, conversation: &str) -> &mut Growth {
        self.woken.conversations.entry(conversation.to_owned()).or_default()
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
