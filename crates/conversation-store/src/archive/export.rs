//! Exports a conversation piece by piece: the log as it was at the first piece, without later turns and events.

use std::sync::Arc;

use rusqlite::{Connection, Row, named_params};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::archive_record::{AgentRecord, ArchiveHeader, ArchiveRecord, ConversationRecord, EventRecord, TurnRecord};
use crate::{StoreError, backend::Backend, error::Result, queries, token_ids};

/// A piece ends after the row that reaches this size, so that long texts don't fill the memory.
const PIECE_BYTES: usize = 256 << 10;

/// The most rows of one piece.
const PIECE_ROWS: i64 = 500;

/// A conversation that is being exported.
#[derive(Debug)]
pub struct Export {
    backend: Arc<Backend>,
    conversation: String,
    next: ExportCursor,
}

/// Where the next piece begins: with the agents after a hash, the turns after a key, or the events after a number, up
/// to the log's end at the first piece.
#[derive(Debug, Clone)]
enum ExportCursor {
    Header,
    Agents { after: String, last_seq: u64 },
    Turns { after: u64, last_seq: u64 },
    Events { after: u64, last_seq: u64 },
    End,
}

impl Export {
    pub(crate) fn new(backend: Arc<Backend>, conversation: String) -> Self {
        Self {
            backend,
            conversation,
            next: ExportCursor::Header,
        }
    }

    /// Returns the next lines, each with its line feed, and `None` after the last one.
    ///
    /// # Errors
    /// At the first piece, `Running` while a turn is pending or streaming, and `ConversationNotFound`; `Gone` at any
    /// piece.
    pub async fn piece(&mut self) -> Result<Option<String>> {
        loop {
            let (id, next) = (self.conversation.clone(), self.next.clone());
            if matches!(next, ExportCursor::End) {
                return Ok(None);
            }
            let (lines, next) = self.backend.read("an export", move |db| piece(db, &id, next)).await?;
            self.next = next;
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
        }
    }
}

fn piece(db: &Connection, id: &str, next: ExportCursor) -> Result<(String, ExportCursor)> {
    let key = queries::find_known(db, id)?.key;
    match next {
        ExportCursor::Header => {
            let conversation = header(db, id, key)?;
            let last_seq = conversation.last_seq;
            let after = String::new();
            Ok((
                line(&ArchiveHeader::new(conversation)),
                ExportCursor::Agents { after, last_seq },
            ))
        }
        ExportCursor::Agents { after, last_seq } => agents(db, key, &after, last_seq),
        ExportCursor::Turns { after, last_seq } => turns(db, key, after, last_seq),
        ExportCursor::Events { after, last_seq } => events(db, key, after, last_seq),
        ExportCursor::End => Ok((String::new(), ExportCursor::End)),
    }
}

fn header(db: &Connection, id: &str, key: i64) -> Result<ConversationRecord> {
    let (running, turns) = db
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE state IN ('pending', 'streaming')), count(*)
             FROM turn WHERE conversation = :key",
        )?
        .query_row(named_params! { ":key": key }, |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?;
    if running > 0 {
        return Err(StoreError::Running {
            conversation: id.to_owned(),
        });
    }
    let found = queries::conversation(db, id)?.ok_or_else(|| StoreError::ConversationNotFound {
        conversation: id.to_owned(),
    })?;
    Ok(ConversationRecord {
        id: found.id,
        created_at_ms: found.created_at_ms,
        updated_at_ms: found.updated_at_ms,
        head_turn_id: found.head_turn_id,
        last_seq: found.last_seq,
        turns: turns.cast_unsigned(),
    })
}

fn agents(db: &Connection, key: i64, after: &str, last_seq: u64) -> Result<(String, ExportCursor)> {
    let mut statement = db.prepare_cached(
        "SELECT hash, json FROM agent_snapshot WHERE hash > :after AND hash IN
         (SELECT agent_hash FROM turn WHERE conversation = :key AND first_seq <= :last)
         ORDER BY hash LIMIT :rows",
    )?;
    let params = named_params! { ":after": after, ":key": key, ":last": last_seq.cast_signed(), ":rows": PIECE_ROWS };
    let mut rows = statement.query(params)?;
    let (mut lines, mut after) = (String::new(), None);
    while let Some(row) = rows.next()? {
        let hash: String = row.get(0)?;
        let json = raw(0, "agent", row.get(1)?)?;
        lines.push_str(&line(&ArchiveRecord::Agent(AgentRecord {
            hash: hash.clone(),
            json,
        })));
        after = Some(hash);
        if lines.len() >= PIECE_BYTES {
            break;
        }
    }
    let next = match after {
        Some(after) => ExportCursor::Agents { after, last_seq },
        None => ExportCursor::Turns { after: 0, last_seq },
    };
    Ok((lines, next))
}

fn turns(db: &Connection, key: i64, after: u64, last_seq: u64) -> Result<(String, ExportCursor)> {
    let mut statement = db.prepare_cached(
        "SELECT turn.key, turn.id, parent.id, turn.state, turn.first_seq, turn.end_seq, turn.user_text,
                turn.answer_text, turn.answer_ids, turn.model, turn.prompt_tokens, epoch.id, turn.rounds,
                turn.agent_id, turn.agent_hash, turn.options, turn.seed, turn.body_hash, turn.created_at, turn.ended_at
         FROM turn LEFT JOIN turn AS parent ON parent.key = turn.parent
         LEFT JOIN turn AS epoch ON epoch.key = turn.epoch AND epoch.conversation = turn.conversation
         WHERE turn.conversation = :key AND turn.key > :after AND turn.first_seq <= :last
         ORDER BY turn.key LIMIT :rows",
    )?;
    let params = named_params! {
        ":key": key, ":after": after.cast_signed(), ":last": last_seq.cast_signed(), ":rows": PIECE_ROWS,
    };
    let mut rows = statement.query(params)?;
    let (mut lines, mut last) = (String::new(), None);
    while let Some(row) = rows.next()? {
        let turn = row.get::<_, i64>(0)?.cast_unsigned();
        lines.push_str(&line(&ArchiveRecord::Turn(Box::new(turn_of(row, turn)?))));
        last = Some(turn);
        if lines.len() >= PIECE_BYTES {
            break;
        }
    }
    let next = match last {
        Some(after) => ExportCursor::Turns { after, last_seq },
        None => ExportCursor::Events { after: 0, last_seq },
    };
    Ok((lines, next))
}

fn events(db: &Connection, key: i64, after: u64, last_seq: u64) -> Result<(String, ExportCursor)> {
    let mut statement = db.prepare_cached(
        "SELECT event.seq, turn.id, event.kind, event.at, event.json
         FROM event LEFT JOIN turn ON turn.key = event.turn
         WHERE event.conversation = :key AND event.seq > :after AND event.seq <= :last
         ORDER BY event.seq LIMIT :rows",
    )?;
    let params = named_params! {
        ":key": key, ":after": after.cast_signed(), ":last": last_seq.cast_signed(), ":rows": PIECE_ROWS,
    };
    let mut rows = statement.query(params)?;
    let (mut lines, mut last) = (String::new(), None);
    while let Some(row) = rows.next()? {
        let seq = row.get::<_, i64>(0)?.cast_unsigned();
        lines.push_str(&line(&ArchiveRecord::Event(EventRecord {
            seq,
            turn_id: row.get(1)?,
            kind: row.get(2)?,
            at_ms: row.get(3)?,
            json: raw(0, "event", row.get(4)?)?,
        })));
        last = Some(seq);
        if lines.len() >= PIECE_BYTES {
            break;
        }
    }
    let next = last.map_or(ExportCursor::End, |after| ExportCursor::Events { after, last_seq });
    Ok((lines, next))
}

fn turn_of(row: &Row<'_>, turn: u64) -> Result<TurnRecord> {
    let bad = |column| StoreError::BadRecord { turn, column };
    let number = |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.cast_unsigned());
    let ids = row.get::<_, Option<Vec<u8>>>(8)?;
    let ids = ids.map(|blob| token_ids::decode(&blob).ok_or(bad("answer_ids")));
    let rounds = row.get::<_, Option<String>>(12)?;
    Ok(TurnRecord {
        id: row.get(1)?,
        parent_turn_id: row.get(2)?,
        state: row.get(3)?,
        first_seq: number(4)?,
        end_seq: number(5)?,
        user_text: row.get(6)?,
        answer_text: row.get::<_, Option<String>>(7)?.unwrap_or_default(),
        answer_ids: ids.transpose()?,
        model: row.get(9)?,
        prompt_tokens: row.get::<_, Option<i64>>(10)?.map(i64::cast_unsigned),
        epoch_turn_id: row.get(11)?,
        rounds: rounds.map(|json| raw(turn, "rounds", json)).transpose()?,
        agent_id: row.get(13)?,
        agent_hash: row.get(14)?,
        options: raw(turn, "options", row.get(15)?)?,
        seed: number(16)?,
        body_hash: row.get(17)?,
        created_at_ms: row.get(18)?,
        ended_at_ms: row.get(19)?,
    })
}

/// Returns a stored JSON text as it is.
fn raw(turn: u64, column: &'static str, json: String) -> Result<Box<RawValue>> {
    RawValue::from_string(json).map_err(|_| StoreError::BadRecord { turn, column })
}

fn line(record: &impl Serialize) -> String {
    let mut line = serde_json::to_string(record).expect("records have string keys only");
    line.push('\n');
    line
}
