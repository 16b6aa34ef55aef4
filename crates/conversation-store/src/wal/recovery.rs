//! Recovery at start: what ended processes have left in their segments is put into memtables, and flushed like new
//! events.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use rusqlite::{Connection, OptionalExtension as _, named_params};

use super::{Memtable, WalState, segments};
use crate::{StoreError, TurnState, error::Result, queries, unflushed::WalEvent};

/// Reads every segment in the folder. Events that the database has already, or that don't continue its log, are
/// skipped.
pub(super) fn recover(folder: &Path, db: &Connection) -> Result<WalState> {
    let found = segments::find(folder).map_err(|source| StoreError::ReadJournal {
        folder: folder.to_owned(),
        source: Arc::new(source),
    })?;
    let mut logs: BTreeMap<String, Vec<(usize, WalEvent)>> = BTreeMap::new();
    let mut segments = segments::Segments::new(folder);
    let mut files = Vec::new();
    for (index, mut file) in found.into_iter().enumerate() {
        for record in file.records.drain(..) {
            let events = record.events.into_iter().map(|event| (index, event));
            logs.entry(record.conversation).or_default().extend(events);
        }
        files.push((file, 0));
    }
    let mut kept = Vec::new();
    for (conversation, mut events) in logs {
        events.sort_by_key(|(_, event)| event.seq);
        let events = unflushed(db, &conversation, events)?;
        for (index, _) in &events {
            files[*index].1 += 1;
        }
        kept.push((conversation, events));
    }
    let numbers: Vec<_> = files
        .into_iter()
        .map(|(file, unflushed)| segments.adopt(file, unflushed))
        .collect();
    let memtable = |events: Vec<(usize, WalEvent)>| {
        let mut memtable = Memtable::default();
        for (index, event) in events {
            memtable.insert(vec![event], numbers[index]);
        }
        memtable
    };
    let logs = kept.into_iter().filter(|(_, events)| !events.is_empty());
    let memtables = logs.map(|(id, events)| (id, memtable(events))).collect();
    Ok(WalState { segments, memtables })
}

/// Returns the events that continue the database's log, up to the first that doesn't.
fn unflushed(db: &Connection, id: &str, events: Vec<(usize, WalEvent)>) -> Result<Vec<(usize, WalEvent)>> {
    let conversation = match queries::find(db, id) {
        Ok(Some(conversation)) => conversation,
        Ok(None) | Err(StoreError::Gone { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut last_seq = conversation.last_seq;
    let mut unflushed = Vec::new();
    for (index, event) in events {
        if event.seq <= last_seq {
            continue;
        }
        if event.seq != last_seq + 1 || !is_streaming(db, conversation.key, &event)? {
            tracing::warn!(
                conversation = id,
                seq = event.seq,
                "a journal doesn't go on where the log ends"
            );
            break;
        }
        last_seq = event.seq;
        unflushed.push((index, event));
    }
    Ok(unflushed)
}

/// Returns true if the event's turn streams. A database that was restored from an older copy may have another turn
/// under that key, or none.
fn is_streaming(db: &Connection, conversation: i64, event: &WalEvent) -> Result<bool> {
    let state = db
        .prepare_cached("SELECT state FROM turn WHERE key = :key AND conversation = :conversation AND id = :id")?
        .query_row(
            named_params! { ":key": event.turn.cast_signed(), ":conversation": conversation, ":id": event.turn_id },
            |row| row.get::<_, String>(0),
        )
        .optional()?;
    Ok(state.and_then(|name| TurnState::from_name(&name)) == Some(TurnState::Streaming))
}
