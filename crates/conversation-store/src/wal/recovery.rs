//! What ended processes have left in their journals: it is held as if it had just been said, and flushed like that.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use rusqlite::{Connection, OptionalExtension as _, named_params};

use super::{Held, LiveEvent, LiveLog, State, journal};
use crate::{StoreError, TurnState, error::Result, queries};

/// Reads every journal in the folder. What the database has already, or what doesn't go on where it ends, is left out.
pub(super) fn recover(folder: &Path, db: &Connection) -> Result<State> {
    let found = journal::find(folder).map_err(|source| StoreError::ReadJournal {
        folder: folder.to_owned(),
        source: Arc::new(source),
    })?;
    let mut logs: BTreeMap<String, Vec<(usize, LiveEvent)>> = BTreeMap::new();
    let mut journal = journal::Journal::new(folder);
    let mut files = Vec::new();
    for (index, mut file) in found.into_iter().enumerate() {
        for entry in file.entries.drain(..) {
            let events = entry.events.into_iter().map(|event| (index, event));
            logs.entry(entry.conversation).or_default().extend(events);
        }
        files.push((file, 0));
    }
    let mut kept = Vec::new();
    for (conversation, mut events) in logs {
        events.sort_by_key(|(_, event)| event.seq);
        let events = missing(db, &conversation, events)?;
        for (index, _) in &events {
            files[*index].1 += 1;
        }
        kept.push((conversation, events));
    }
    let numbers: Vec<_> = files
        .into_iter()
        .map(|(file, held)| journal.take_over(file, held))
        .collect();
    let log = |events: Vec<(usize, LiveEvent)>| {
        let mut log = LiveLog::default();
        for (index, event) in events {
            log.last_seq = event.seq;
            log.bytes += event.bytes();
            log.held.push_back(Held {
                event,
                segment: numbers[index],
            });
        }
        log
    };
    let logs = kept.into_iter().filter(|(_, events)| !events.is_empty());
    let logs = logs.map(|(id, events)| (id, log(events))).collect();
    Ok(State { journal, logs })
}

/// The events that go on where the database ends, up to the first that doesn't.
fn missing(db: &Connection, id: &str, events: Vec<(usize, LiveEvent)>) -> Result<Vec<(usize, LiveEvent)>> {
    let conversation = match queries::find(db, id) {
        Ok(Some(conversation)) => conversation,
        Ok(None) | Err(StoreError::Gone { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut last_seq = conversation.last_seq;
    let mut missing = Vec::new();
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
        missing.push((index, event));
    }
    Ok(missing)
}

/// A database that was put back to an older state may have another turn of that number, or none.
fn is_streaming(db: &Connection, conversation: i64, event: &LiveEvent) -> Result<bool> {
    let state = db
        .prepare_cached("SELECT state FROM turn WHERE key = :key AND conversation = :conversation AND id = :id")?
        .query_row(
            named_params! { ":key": event.turn.cast_signed(), ":conversation": conversation, ":id": event.turn_id },
            |row| row.get::<_, String>(0),
        )
        .optional()?;
    Ok(state.and_then(|name| TurnState::from_name(&name)) == Some(TurnState::Streaming))
}
