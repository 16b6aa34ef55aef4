//! The queries: read the database, merged with the memtables. Every result is bounded in rows and bytes.

mod answer;
mod turns;

use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::{
    Conversation, ConversationPage, Event, StoreError, TurnKey,
    error::Result,
    unflushed::{MemtableSnapshot, WalEvent},
};

pub(crate) use answer::StoredAnswer;
pub(crate) use turns::{path, running, turn, turns};

/// The most events of one read: many screens full of tokens.
const MAX_EVENTS: usize = 1_000;

/// The most conversations or turns of one page.
const MAX_PAGE: usize = 200;

/// A read stops after the row that reaches this size, so that long texts don't fill the memory.
const MAX_BYTES: usize = 1 << 20;

/// Makes a query for the columns that [`conversation_of`] reads, with that condition.
macro_rules! select_conversation {
    ($condition:literal) => {
        concat!(
            "SELECT conversation.key, conversation.id, conversation.created_at, conversation.updated_at, ",
            "conversation.head, turn.id, conversation.last_seq ",
            "FROM conversation LEFT JOIN turn ON turn.key = conversation.head WHERE ",
            $condition
        )
    };
}

/// A conversation's row, as far as the writer and the queries need it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConversationRow {
    pub(crate) key: i64,
    pub(crate) head: Option<TurnKey>,
    pub(crate) last_seq: u64,
}

/// Finds a conversation. A deleted one is the error `Gone`.
pub(crate) fn find(db: &Connection, id: &str) -> Result<Option<ConversationRow>> {
    let mut statement = db.prepare_cached("SELECT key, head, last_seq, deleted FROM conversation WHERE id = :id")?;
    let found = statement
        .query_row(named_params! { ":id": id }, |row| {
            let head = row.get::<_, Option<i64>>(1)?.map(i64::cast_unsigned);
            let conversation = ConversationRow {
                key: row.get(0)?,
                head,
                last_seq: unsigned(row, 2)?,
            };
            Ok((conversation, row.get::<_, i64>(3)?))
        })
        .optional()?;
    match found {
        Some((_, deleted)) if deleted != 0 => Err(StoreError::Gone {
            conversation: id.to_owned(),
        }),
        Some((conversation, _)) => Ok(Some(conversation)),
        None => Ok(None),
    }
}

/// Finds a conversation that must exist.
pub(crate) fn find_known(db: &Connection, id: &str) -> Result<ConversationRow> {
    find(db, id)?.ok_or_else(|| StoreError::ConversationNotFound {
        conversation: id.to_owned(),
    })
}

/// Finds a turn's number by its id.
pub(crate) fn turn_key(db: &Connection, conversation: i64, turn_id: &str) -> Result<Option<TurnKey>> {
    let mut statement = db.prepare_cached("SELECT key FROM turn WHERE conversation = :conversation AND id = :id")?;
    let params = named_params! { ":conversation": conversation, ":id": turn_id };
    Ok(statement.query_row(params, |row| unsigned(row, 0)).optional()?)
}

/// Reads the events with `seq > after`.
pub(crate) fn events(
    db: &Connection,
    memtable: &MemtableSnapshot,
    id: &str,
    after: u64,
    limit: usize,
) -> Result<Vec<Event>> {
    let conversation = find_known(db, id)?;
    let newest = memtable.after(id, after.max(conversation.last_seq));
    // No event has a number over i64::MAX, so a larger `after` is beyond the end.
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(
        "SELECT event.seq, event.kind, turn.id, event.at, event.json
         FROM event LEFT JOIN turn ON turn.key = event.turn
         WHERE event.conversation = :conversation AND event.seq > :after
         ORDER BY event.seq LIMIT :limit",
    )?;
    let limit = row_limit(limit, MAX_EVENTS);
    let mut rows =
        statement.query(named_params! { ":conversation": conversation.key, ":after": after, ":limit": limit })?;
    let mut events = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let event = Event {
            seq: unsigned(row, 0)?,
            kind: row.get(1)?,
            turn_id: row.get(2)?,
            at_ms: row.get(3)?,
            json: row.get(4)?,
        };
        bytes += event.json.len();
        events.push(event);
        if bytes >= MAX_BYTES {
            return Ok(events);
        }
    }
    let room = usize::try_from(limit).unwrap_or(MAX_EVENTS) - events.len();
    events.extend(newest.iter().take(room).map(WalEvent::event));
    Ok(events)
}

/// Reads one conversation.
pub(crate) fn conversation(db: &Connection, id: &str) -> Result<Option<Conversation>> {
    let Some(found) = find(db, id)? else { return Ok(None) };
    let mut statement = db.prepare_cached(select_conversation!("conversation.key = :key"))?;
    Ok(statement
        .query_row(named_params! { ":key": found.key }, conversation_of)
        .optional()?)
}

/// Reads a page of conversations, the newest created first.
pub(crate) fn list(db: &Connection, cursor: Option<&str>, limit: usize) -> Result<ConversationPage> {
    let before = match cursor {
        None => i64::MAX,
        Some(text) => text
            .parse::<i64>()
            .ok()
            .filter(|key| *key > 0)
            .ok_or_else(|| StoreError::InvalidCursor {
                cursor: text.to_owned(),
            })?,
    };
    let mut statement = db.prepare_cached(select_conversation!(
        "conversation.deleted = 0 AND conversation.key < :before ORDER BY conversation.key DESC LIMIT :limit"
    ))?;
    let limit = row_limit(limit, MAX_PAGE);
    let rows = statement.query_map(named_params! { ":before": before, ":limit": limit + 1 }, |row| {
        Ok((row.get::<_, i64>(0)?, conversation_of(row)?))
    })?;
    let mut found = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let kept = usize::try_from(limit).unwrap_or(MAX_PAGE);
    let more = found.len() > kept;
    found.truncate(kept);
    let next = found.last().filter(|_| more).map(|(key, _)| key.to_string());
    Ok(ConversationPage {
        conversations: found.into_iter().map(|(_, conversation)| conversation).collect(),
        next,
    })
}

/// Reads an agent's snapshot.
pub(crate) fn agent_snapshot(db: &Connection, hash: &str) -> Result<Option<String>> {
    let mut statement = db.prepare_cached("SELECT json FROM agent_snapshot WHERE hash = :hash")?;
    Ok(statement
        .query_row(named_params! { ":hash": hash }, |row| row.get(0))
        .optional()?)
}

/// Reads a column with a count, number or key, which SQLite stores signed.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

/// Clamps a limit to at least one row, so that an empty result always means the end.
fn row_limit(requested: usize, most: usize) -> i64 {
    i64::try_from(requested.clamp(1, most)).unwrap_or(i64::MAX)
}

fn conversation_of(row: &Row<'_>) -> rusqlite::Result<Conversation> {
    Ok(Conversation {
        id: row.get(1)?,
        created_at_ms: row.get(2)?,
        updated_at_ms: row.get(3)?,
        head: row.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
        head_turn_id: row.get(5)?,
        last_seq: unsigned(row, 6)?,
    })
}
