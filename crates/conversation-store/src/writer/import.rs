//! Writes a conversation that is being imported: hidden, in several commands, and published or removed at the end.

use rusqlite::named_params;

use super::{Batch, events::EventRow};
use crate::{
    StoreError,
    archive_record::{ArchiveRecord, EventRecord, TurnRecord},
    error::Result,
    queries, token_ids,
};

/// The prefix of the id of a conversation that is being imported. No client's id contains a colon.
pub(crate) const HIDDEN: &str = "importing:";

/// Inserts a hidden conversation. Returns its key.
#[derive(Debug)]
pub(crate) struct BeginImport {
    pub(crate) id: String,
    pub(crate) created_at_ms: i64,
    pub(crate) updated_at_ms: i64,
}

/// Adds agents, turns and events to a hidden conversation. The first one that is refused ends the import; those before
/// it are stored and removed with the rest.
#[derive(Debug)]
pub(crate) struct ImportRecords {
    pub(crate) key: i64,
    /// The line of the first record.
    pub(crate) first_line: u64,
    pub(crate) records: Vec<ArchiveRecord>,
}

/// Publishes a hidden conversation under its id.
#[derive(Debug)]
pub(crate) struct FinishImport {
    pub(crate) key: i64,
    pub(crate) id: String,
    pub(crate) head_turn_id: Option<String>,
    pub(crate) last_seq: u64,
    pub(crate) line: u64,
}

/// Turns a hidden conversation into a deleted one, whose rows are removed.
#[derive(Debug)]
pub(crate) struct AbortImport {
    pub(crate) key: i64,
}

impl BeginImport {
    /// Inserts the hidden conversation, and returns its key.
    pub(super) fn begin(&self, batch: &mut Batch<'_>) -> Result<i64> {
        check_free(batch, &self.id)?;
        batch.execute(
            "an import",
            "INSERT INTO conversation (id, created_at, updated_at, deleted) VALUES (:id, :created, :updated, 3)",
            named_params! { ":id": HIDDEN, ":created": self.created_at_ms, ":updated": self.updated_at_ms },
        )?;
        let key = batch.db.last_insert_rowid();
        batch.execute(
            "an import",
            "UPDATE conversation SET id = id || key WHERE key = :key",
            named_params! { ":key": key },
        )?;
        Ok(key)
    }
}

impl ImportRecords {
    /// Inserts the records, up to the first one that is refused.
    pub(super) fn insert(&self, batch: &mut Batch<'_>) -> Result<()> {
        for (line, record) in (self.first_line..).zip(&self.records) {
            let bad = |reason| StoreError::BadArchive { line, reason };
            match record {
                ArchiveRecord::Agent(agent) => {
                    batch.execute(
                        "an agent snapshot",
                        "INSERT INTO agent_snapshot (hash, json) VALUES (:hash, :json) ON CONFLICT DO NOTHING",
                        named_params! { ":hash": agent.hash, ":json": agent.json.get() },
                    )?;
                }
                ArchiveRecord::Turn(turn) => self
                    .insert_turn(batch, turn)?
                    .map_or(Ok(()), |reason| Err(bad(reason)))?,
                ArchiveRecord::Event(event) => self
                    .insert_event(batch, event)?
                    .map_or(Ok(()), |reason| Err(bad(reason)))?,
            }
        }
        Ok(())
    }

    /// Inserts a turn. Returns why it is refused, if it is.
    fn insert_turn(&self, batch: &Batch<'_>, turn: &TurnRecord) -> Result<Option<String>> {
        let known = |id: &Option<String>| match id {
            Some(id) => queries::turn_key(&batch.db, self.key, id),
            None => Ok(None),
        };
        if queries::turn_key(&batch.db, self.key, &turn.id)?.is_some() {
            return Ok(Some(format!("turn {:?} comes twice", turn.id)));
        }
        let (parent, epoch) = (known(&turn.parent_turn_id)?, known(&turn.epoch_turn_id)?);
        let begins_epoch = turn.epoch_turn_id.as_ref() == Some(&turn.id);
        if parent.is_none() && turn.parent_turn_id.is_some() {
            return Ok(Some(format!("the parent of turn {:?} doesn't come before it", turn.id)));
        }
        if epoch.is_none() && turn.epoch_turn_id.is_some() && !begins_epoch {
            return Ok(Some(format!("the epoch of turn {:?} doesn't come before it", turn.id)));
        }
        if queries::agent_snapshot(&batch.db, &turn.agent_hash)?.is_none() {
            return Ok(Some(format!("the agent of turn {:?} doesn't come before it", turn.id)));
        }
        let ids = turn.answer_ids.as_ref().map(|ids| {
            let mut blob = Vec::new();
            token_ids::encode(ids, &mut blob);
            blob
        });
        batch.execute(
            "a turn",
            "INSERT INTO turn (conversation, id, parent, state, first_seq, end_seq, user_text, answer_text, answer_ids,
                               model, prompt_tokens, epoch, rounds, agent_id, agent_hash, options, seed, body_hash,
                               created_at, ended_at)
             VALUES (:conversation, :id, :parent, :state, :first_seq, :end_seq, :user_text, :answer_text, :answer_ids,
                     :model, :prompt_tokens, :epoch, :rounds, :agent_id, :agent_hash, :options, :seed, :body_hash,
                     :created_at, :ended_at)",
            named_params! {
                ":conversation": self.key, ":id": turn.id, ":parent": parent.map(u64::cast_signed),
                ":state": turn.state, ":first_seq": turn.first_seq.cast_signed(),
                ":end_seq": turn.end_seq.cast_signed(), ":user_text": turn.user_text,
                ":answer_text": turn.answer_text, ":answer_ids": ids, ":model": turn.model,
                ":prompt_tokens": turn.prompt_tokens.map(u64::cast_signed), ":epoch": epoch.map(u64::cast_signed),
                ":rounds": turn.rounds.as_ref().map(|json| json.get()), ":agent_id": turn.agent_id,
                ":agent_hash": turn.agent_hash, ":options": turn.options.get(), ":seed": turn.seed.cast_signed(),
                ":body_hash": turn.body_hash, ":created_at": turn.created_at_ms, ":ended_at": turn.ended_at_ms,
            },
        )?;
        if begins_epoch {
            let key = batch.db.last_insert_rowid();
            let sql = "UPDATE turn SET epoch = key WHERE key = :key";
            batch.execute("a turn's epoch", sql, named_params! { ":key": key })?;
        }
        Ok(None)
    }

    /// Inserts an event. Returns why it is refused, if it is.
    fn insert_event(&self, batch: &Batch<'_>, event: &EventRecord) -> Result<Option<String>> {
        let turn = match &event.turn_id {
            Some(id) => queries::turn_key(&batch.db, self.key, id)?,
            None => None,
        };
        if turn.is_none() && event.turn_id.is_some() {
            return Ok(Some(format!("the turn of event {} doesn't come before it", event.seq)));
        }
        let row = EventRow {
            conversation: self.key,
            seq: event.seq,
            turn,
            kind: &event.kind,
            at_ms: event.at_ms,
            json: event.json.get(),
            part: None,
            ids: &[],
        };
        batch.insert_event("an event", &row)?;
        Ok(None)
    }
}

impl FinishImport {
    /// Gives the conversation its id and its head, by which it becomes visible.
    pub(super) fn finish(&self, batch: &mut Batch<'_>) -> Result<()> {
        check_free(batch, &self.id)?;
        let head = match &self.head_turn_id {
            Some(id) => queries::turn_key(&batch.db, self.key, id)?,
            None => None,
        };
        if head.is_none() && self.head_turn_id.is_some() {
            return Err(StoreError::BadArchive {
                line: self.line,
                reason: "the header's head is none of the turns".to_owned(),
            });
        }
        batch.execute(
            "an import",
            "UPDATE conversation SET id = :id, head = :head, last_seq = :last_seq, deleted = 0 WHERE key = :key",
            named_params! {
                ":id": self.id, ":head": head.map(u64::cast_signed), ":last_seq": self.last_seq.cast_signed(),
                ":key": self.key,
            },
        )?;
        batch.notify(&self.id, self.last_seq);
        // There may be agents that none of its turns refers to.
        batch.schedule_removal();
        Ok(())
    }
}

impl AbortImport {
    /// Has the rows of the conversation removed after the commit.
    pub(super) fn abort(&self, batch: &mut Batch<'_>) -> Result<()> {
        batch.execute(
            "an import",
            "UPDATE conversation SET deleted = 1 WHERE key = :key AND deleted = 3",
            named_params! { ":key": self.key },
        )?;
        batch.schedule_removal();
        Ok(())
    }
}

/// Refuses an id that a conversation has or had.
fn check_free(batch: &Batch<'_>, id: &str) -> Result<()> {
    match queries::find(&batch.db, id)? {
        Some(_) => Err(StoreError::ConversationExists {
            conversation: id.to_owned(),
        }),
        None => Ok(()),
    }
}
