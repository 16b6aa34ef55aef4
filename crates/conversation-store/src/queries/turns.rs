//! The queries for turns: one turn, a path, the tree, the running ones.

use rusqlite::{Connection, Row, named_params};

use super::{MAX_BYTES, MAX_PAGE, StoredAnswer, find, find_known, row_limit, unsigned};
use crate::{
    PathLimit, PathStart, StoreError, Turn, TurnKey, TurnState, error::Result, token_ids, unflushed::MemtableSnapshot,
};

/// Makes a query for the columns that [`turn_of`] reads, with that condition.
macro_rules! select_turn {
    ($condition:literal) => {
        concat!(
            "SELECT turn.key, turn.id, conversation.id, turn.parent, parent.id, turn.state, turn.first_seq, ",
            "turn.user_text, turn.answer_text, turn.answer_ids, turn.model, turn.prompt_tokens, turn.epoch, ",
            "turn.agent_id, turn.agent_hash, turn.options, turn.seed, turn.body_hash, turn.created_at, turn.ended_at, ",
            "turn.rounds, conversation.last_seq ",
            "FROM turn JOIN conversation ON conversation.key = turn.conversation ",
            "LEFT JOIN turn AS parent ON parent.key = turn.parent WHERE ",
            $condition
        )
    };
}

/// Reads a turn by its id.
pub(crate) fn turn(db: &Connection, memtable: &MemtableSnapshot, id: &str, turn_id: &str) -> Result<Option<Turn>> {
    let Some(conversation) = find(db, id)? else {
        return Ok(None);
    };
    let mut statement = db.prepare_cached(select_turn!("turn.conversation = :conversation AND turn.id = :id"))?;
    let mut rows = statement.query(named_params! { ":conversation": conversation.key, ":id": turn_id })?;
    rows.next()?.map(|row| turn_of(db, memtable, row)).transpose()
}

/// Reads the path from `start` towards the root, the newest turn first.
pub(crate) fn path(
    db: &Connection,
    memtable: &MemtableSnapshot,
    id: &str,
    start: PathStart,
    limit: PathLimit,
) -> Result<Vec<Turn>> {
    let Some(conversation) = find(db, id)? else {
        return Ok(Vec::new());
    };
    let mut next = match start {
        PathStart::Head => conversation.head,
        PathStart::Turn(key) => Some(key),
    };
    let mut path: Vec<Turn> = Vec::new();
    let mut bytes = 0;
    while let Some(key) = next.filter(|key| Some(*key) != limit.until) {
        if path.len() == limit.turns || bytes >= limit.bytes {
            break;
        }
        let turn = by_key(db, memtable, conversation.key, key)?.ok_or_else(|| StoreError::TurnNotFound {
            conversation: id.to_owned(),
            turn: key.to_string(),
        })?;
        bytes += turn_bytes(&turn);
        next = turn.parent;
        path.push(turn);
    }
    Ok(path)
}

/// Reads the tree in the order in which turns began.
pub(crate) fn turns(
    db: &Connection,
    memtable: &MemtableSnapshot,
    id: &str,
    after: TurnKey,
    limit: usize,
) -> Result<Vec<Turn>> {
    let conversation = find_known(db, id)?;
    let mut statement = db.prepare_cached(select_turn!(
        "turn.conversation = :conversation AND turn.key > :after ORDER BY turn.key LIMIT :limit"
    ))?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let limit = row_limit(limit, MAX_PAGE);
    let mut rows =
        statement.query(named_params! { ":conversation": conversation.key, ":after": after, ":limit": limit })?;
    let mut turns = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let turn = turn_of(db, memtable, row)?;
        bytes += turn_bytes(&turn);
        turns.push(turn);
        if bytes >= MAX_BYTES {
            break;
        }
    }
    Ok(turns)
}

/// Reads every turn that is pending or streaming, the oldest first.
pub(crate) fn running(db: &Connection, memtable: &MemtableSnapshot) -> Result<Vec<Turn>> {
    let mut statement = db.prepare_cached(select_turn!(
        "turn.state IN ('pending', 'streaming') AND conversation.deleted = 0 ORDER BY turn.key"
    ))?;
    let mut rows = statement.query([])?;
    let mut turns = Vec::new();
    while let Some(row) = rows.next()? {
        turns.push(turn_of(db, memtable, row)?);
    }
    Ok(turns)
}

fn by_key(db: &Connection, memtable: &MemtableSnapshot, conversation: i64, key: TurnKey) -> Result<Option<Turn>> {
    let mut statement = db.prepare_cached(select_turn!("turn.key = :key AND turn.conversation = :conversation"))?;
    let mut rows = statement.query(named_params! { ":key": key.cast_signed(), ":conversation": conversation })?;
    rows.next()?.map(|row| turn_of(db, memtable, row)).transpose()
}

fn turn_bytes(turn: &Turn) -> usize {
    let ids = turn.answer_ids.as_ref().map_or(0, Vec::len) * size_of::<u32>();
    turn.user_text.len() + turn.answer_text.len() + turn.options_json.len() + ids
}

fn turn_of(db: &Connection, memtable: &MemtableSnapshot, row: &Row<'_>) -> Result<Turn> {
    let key = unsigned(row, 0)?;
    let state = row.get_ref(5)?.as_str().ok().and_then(TurnState::from_name);
    let state = state.ok_or(StoreError::BadRecord {
        turn: key,
        column: "state",
    })?;
    let conversation: String = row.get(2)?;
    let answer = match row.get(8)? {
        Some(text) => StoredAnswer { text, ids: row.get(9)? },
        None => {
            let mut answer = StoredAnswer::join_parts(db, key)?;
            answer.extend(key, memtable.after(&conversation, unsigned(row, 21)?));
            answer
        }
    };
    let ids = answer.ids.as_deref().map(token_ids::decode);
    let optional = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned));
    Ok(Turn {
        key,
        turn_id: row.get(1)?,
        conversation,
        parent: optional(3)?,
        parent_turn_id: row.get(4)?,
        state,
        first_seq: unsigned(row, 6)?,
        user_text: row.get(7)?,
        answer_text: answer.text,
        answer_ids: ids
            .map(|ids| {
                ids.ok_or(StoreError::BadRecord {
                    turn: key,
                    column: "answer_ids",
                })
            })
            .transpose()?,
        model: row.get(10)?,
        prompt_tokens: optional(11)?,
        epoch: optional(12)?,
        agent_id: row.get(13)?,
        agent_hash: row.get(14)?,
        options_json: row.get(15)?,
        seed: unsigned(row, 16)?,
        body_hash: row.get(17)?,
        created_at_ms: row.get(18)?,
        ended_at_ms: row.get(19)?,
        rounds_json: row.get(20)?,
    })
}
