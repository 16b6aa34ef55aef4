//! Events that are committed to the write-ahead log and not flushed into the database yet, as queries merge them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{Event, TurnKey};

/// An event of a running turn with what it adds to the turn's answer, as the write-ahead log stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WalEvent {
    pub(crate) seq: u64,
    pub(crate) turn: TurnKey,
    pub(crate) turn_id: String,
    pub(crate) kind: String,
    pub(crate) at_ms: i64,
    pub(crate) json: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) text: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) ids: Vec<u32>,
}

impl WalEvent {
    /// Returns the event as readers get it.
    pub(crate) fn event(&self) -> Event {
        Event {
            seq: self.seq,
            kind: self.kind.clone(),
            turn_id: Some(self.turn_id.clone()),
            at_ms: self.at_ms,
            json: self.json.clone(),
        }
    }

    /// Returns the size of what it stores.
    pub(crate) fn bytes(&self) -> usize {
        let text = self.text.as_ref().map_or(0, String::len);
        self.kind.len() + self.json.len() + text + size_of_val(self.ids.as_slice())
    }
}

/// A copy of what some conversations' memtables hold, each in order. Taken before a read of the database begins:
/// together they have no gap, since a flush in between only puts events into both.
#[derive(Debug, Default)]
pub(crate) struct MemtableSnapshot(HashMap<String, Vec<WalEvent>>);

impl MemtableSnapshot {
    /// Returns the events that a database lacks whose log of that conversation ends at `last_seq`.
    pub(crate) fn after(&self, conversation: &str, last_seq: u64) -> &[WalEvent] {
        let events = self.0.get(conversation).map_or(&[][..], Vec::as_slice);
        &events[events.partition_point(|event| event.seq <= last_seq)..]
    }
}

impl FromIterator<(String, Vec<WalEvent>)> for MemtableSnapshot {
    fn from_iter<I: IntoIterator<Item = (String, Vec<WalEvent>)>>(memtables: I) -> Self {
        Self(memtables.into_iter().collect())
    }
}
