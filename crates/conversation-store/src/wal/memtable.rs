//! What is held of one conversation, and when it is worth a place in the database.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::journal::Journal;
use crate::{AppendEvents, Event, TurnKey};

/// Events of one conversation that are worth a transaction's share: a few pages, where one by one they'd be a page each.
const FLUSH_EVENTS: usize = 64;

/// Bytes that are worth it too.
const FLUSH_BYTES: usize = 16 << 10;

/// Events of one conversation that may wait for the database at most; a sender waits for the writer then.
const MAX_EVENTS: usize = 8 * FLUSH_EVENTS;

/// The same in bytes.
const MAX_BYTES: usize = 8 * FLUSH_BYTES;

/// An event of a running turn, with what it adds to the turn's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LiveEvent {
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

impl LiveEvent {
    /// The event as readers get it.
    pub(crate) fn event(&self) -> Event {
        Event {
            seq: self.seq,
            kind: self.kind.clone(),
            turn_id: Some(self.turn_id.clone()),
            at_ms: self.at_ms,
            json: self.json.clone(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let text = self.text.as_ref().map_or(0, String::len);
        self.kind.len() + self.json.len() + text + size_of_val(self.ids.as_slice())
    }
}

/// One conversation's.
#[derive(Default)]
pub(super) struct LiveLog {
    /// The turns that stream, by the ids that clients know.
    pub(super) streaming: HashMap<TurnKey, String>,
    pub(super) last_seq: u64,
    /// Commands on their way through the writer.
    pub(super) queued: usize,
    /// Senders that wait until there is none.
    pub(super) waiting: Vec<oneshot::Sender<()>>,
    pub(super) held: VecDeque<Held>,
    pub(super) bytes: usize,
    /// How much was held when a flush was last asked for.
    asked: (usize, usize),
}

pub(super) struct Held {
    pub(super) event: LiveEvent,
    /// The file of the journal that has it.
    pub(super) segment: u64,
}

/// Whether an append may take the short way at all: it changes no row but its own, a power cut may take it, and it is no flush by itself.
pub(super) fn is_short(append: &AppendEvents) -> bool {
    append.started.is_none() && append.rounds_json.is_none() && append.bytes() <= FLUSH_BYTES
}

impl LiveLog {
    /// The append's events under their numbers, if its turn streams.
    pub(super) fn number(&self, append: &AppendEvents) -> Option<Vec<LiveEvent>> {
        let turn_id = self.streaming.get(&append.turn)?;
        let numbered = (self.last_seq + 1..).zip(&append.events);
        let mut events: Vec<_> = numbered
            .map(|(seq, event)| LiveEvent {
                seq,
                turn: append.turn,
                turn_id: turn_id.clone(),
                kind: event.kind.clone(),
                at_ms: event.at_ms,
                json: event.json.clone(),
                text: None,
                ids: Vec::new(),
            })
            .collect();
        // As in the database: what is added to the answer stands with the first event.
        if let (Some(first), Some(answer)) = (events.first_mut(), &append.answer) {
            first.text = Some(answer.text.clone());
            first.ids.clone_from(&answer.ids);
        }
        Some(events)
    }

    /// Whether it holds so much that a sender waits for the writer.
    pub(super) fn is_full(&self) -> bool {
        self.held.len() >= MAX_EVENTS || self.bytes >= MAX_BYTES
    }

    pub(super) fn hold(&mut self, events: Vec<LiveEvent>, segment: u64) {
        for event in events {
            self.last_seq = event.seq;
            self.bytes += event.bytes();
            self.held.push_back(Held { event, segment });
        }
    }

    pub(super) fn is_worth_a_flush(&mut self) -> bool {
        let (events, bytes) = self.asked;
        let is_due = self.held.len() >= events + FLUSH_EVENTS || self.bytes >= bytes + FLUSH_BYTES;
        if is_due {
            self.asked = (self.held.len(), self.bytes);
        }
        is_due
    }

    pub(super) fn let_go(&mut self, last_seq: u64, journal: &mut Journal) {
        while let Some(held) = self.held.pop_front_if(|held| held.event.seq <= last_seq) {
            self.bytes -= held.event.bytes();
            journal.let_go(held.segment);
        }
        self.asked = (0, 0);
    }

    pub(super) fn events(&self) -> Vec<LiveEvent> {
        self.held.iter().map(|held| held.event.clone()).collect()
    }
}
