//! Recovery at start: what ended processes have left in their segments is put into memtables, and flushed like new
//! events.

use std::{collections::BTreeMap, mem, path::Path, sync::Arc};

use rusqlite::{Connection, OptionalExtension as _, named_params};

use super::{
    Memtable, WalState,
    segments::{self, FoundSegment, Segments},
};
use crate::{StoreError, TurnState, error::Result, queries, unflushed::WalEvent};

/// An event with the index of the segment that it was found in.
struct FoundEvent {
    segment: usize,
    event: WalEvent,
}

/// Reads every segment in the folder. Events that the database has already, or that don't continue its log, are
/// skipped.
pub(super) fn recover(folder: &Path, db: &Connection) -> Result<WalState> {
    let mut found = segments::find(folder).map_err(|source| StoreError::ReadJournal {
        folder: folder.to_owned(),
        source: Arc::new(source),
    })?;
    let mut logs = by_conversation(&mut found);
    for (conversation, events) in &mut logs {
        *events = unflushed(db, conversation, mem::take(events))?;
    }
    let mut counts = vec![0; found.len()];
    for found in logs.values().flatten() {
        counts[found.segment] += 1;
    }
    let mut segments = Segments::new(folder);
    let adopted = found.into_iter().zip(counts);
    let numbers: Vec<u64> = adopted
        .map(|(segment, unflushed)| segments.adopt(segment, unflushed))
        .collect();
    let filled = logs.into_iter().filter(|(_, events)| !events.is_empty());
    let memtables = filled.map(|(id, events)| (id, memtable(events, &numbers))).collect();
    Ok(WalState { segments, memtables })
}

/// Moves the events out of the segments, each conversation's in the order of their numbers.
fn by_conversation(found: &mut [FoundSegment]) -> BTreeMap<String, Vec<FoundEvent>> {
    let mut logs: BTreeMap<String, Vec<FoundEvent>> = BTreeMap::new();
    for (segment, file) in found.iter_mut().enumerate() {
        for record in file.records.drain(..) {
            let events = record.events.into_iter().map(|event| FoundEvent { segment, event });
            logs.entry(record.conversation).or_default().extend(events);
        }
    }
    for events in logs.values_mut() {
        events.sort_by_key(|found| found.event.seq);
    }
    logs
}

/// Makes a memtable of recovered events, given the number of each segment.
fn memtable(events: Vec<FoundEvent>, numbers: &[u64]) -> Memtable {
    let mut memtable = Memtable::default();
    for FoundEvent { segment, event } in events {
        memtable.insert(vec![event], numbers[segment]);
    }
    memtable
}

/// Returns the events that continue the database's log, up to the first that doesn't.
fn unflushed(db: &Connection, id: &str, events: Vec<FoundEvent>) -> Result<Vec<FoundEvent>> {
    let conversation = match queries::find(db, id) {
        Ok(Some(conversation)) => conversation,
        Ok(None) | Err(StoreError::Gone { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut last_seq = conversation.last_seq;
    let mut unflushed = Vec::new();
    for found in events {
        let event = &found.event;
        if event.seq <= last_seq {
            continue;
        }
        if event.seq != last_seq + 1 || !is_streaming(db, conversation.key, event)? {
            tracing::warn!(
                conversation = id,
                seq = event.seq,
                "a journal doesn't go on where the log ends"
            );
            break;
        }
        last_seq = event.seq;
        unflushed.push(found);
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
