//! A memtable: the unflushed events of one conversation, and when they are worth a flush.

use std::collections::{HashMap, VecDeque};

use tokio::sync::oneshot;

use super::segments::Segments;
use crate::{AppendEvents, TurnKey, unflushed::WalEvent};

/// Events of one conversation that are worth a flush: they fill a few pages, where written one by one each would dirty
/// one.
const FLUSH_EVENTS: usize = 64;

/// Bytes of one conversation that are worth a flush.
const FLUSH_BYTES: usize = 16 << 10;

/// The most events of one memtable; a sender waits for the writer then.
const MAX_EVENTS: usize = 8 * FLUSH_EVENTS;

/// The most bytes of one memtable.
const MAX_BYTES: usize = 8 * FLUSH_BYTES;

/// One conversation's memtable, and what decides whether its appends take the fast path.
#[derive(Default)]
pub(super) struct Memtable {
    /// The turns that stream, with the ids that clients know.
    pub(super) streaming: HashMap<TurnKey, String>,
    /// Where the log ends, unflushed events included.
    pub(super) last_seq: u64,
    /// Commands of the conversation that the writer has not run yet.
    pub(super) queued_commands: usize,
    /// Dropped once there is no such command, which wakes the appends that wait for the fast path.
    pub(super) waiters: Vec<oneshot::Sender<()>>,
    entries: VecDeque<MemtableEntry>,
    size: MemtableSize,
    /// The size at which a flush was last requested.
    flush_requested_at: MemtableSize,
}

#[derive(Debug, Clone, Copy, Default)]
struct MemtableSize {
    events: usize,
    bytes: usize,
}

/// An unflushed event.
pub(super) struct MemtableEntry {
    pub(super) event: WalEvent,
    /// The number of the segment that has it.
    pub(super) segment: u64,
}

/// Returns true if an append may take the fast path: it changes no row of its turn, a power cut may undo it, and it is
/// smaller than a flush.
pub(super) fn may_take_fast_path(append: &AppendEvents) -> bool {
    append.started.is_none() && append.rounds_json.is_none() && append.bytes() <= FLUSH_BYTES
}

impl Memtable {
    /// Numbers an append's events. Returns `None` if its turn doesn't stream.
    pub(super) fn number(&self, append: &AppendEvents) -> Option<Vec<WalEvent>> {
        let turn_id = self.streaming.get(&append.turn)?;
        let numbered = (self.last_seq + 1..).zip(&append.events);
        let mut events: Vec<_> = numbered
            .map(|(seq, event)| WalEvent {
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
        // As in the database: the first event's row holds what the append adds to the answer.
        if let (Some(first), Some(answer)) = (events.first_mut(), &append.answer) {
            first.text = Some(answer.text.clone());
            first.ids.clone_from(&answer.ids);
        }
        Some(events)
    }

    /// Returns true if a sender must wait for the writer.
    pub(super) fn is_full(&self) -> bool {
        self.size.events >= MAX_EVENTS || self.size.bytes >= MAX_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns true if the memtable serves no purpose and can be removed.
    pub(super) fn is_idle(&self) -> bool {
        self.queued_commands == 0 && self.streaming.is_empty() && self.entries.is_empty()
    }

    pub(super) fn oldest(&self) -> Option<&MemtableEntry> {
        self.entries.front()
    }

    /// Adds events that a segment has.
    pub(super) fn insert(&mut self, events: Vec<WalEvent>, segment: u64) {
        for event in events {
            self.last_seq = event.seq;
            self.size.events += 1;
            self.size.bytes += event.bytes();
            self.entries.push_back(MemtableEntry { event, segment });
        }
    }

    /// Returns true if so much was added since the last request that a flush should be requested.
    pub(super) fn is_flush_due(&mut self) -> bool {
        let (now, last) = (self.size, self.flush_requested_at);
        let is_due = now.events >= last.events + FLUSH_EVENTS || now.bytes >= last.bytes + FLUSH_BYTES;
        if is_due {
            self.flush_requested_at = now;
        }
        is_due
    }

    /// Drops the events up to `last_seq`, which the database has, and their references to segments.
    pub(super) fn release(&mut self, last_seq: u64, segments: &mut Segments) {
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.event.seq <= last_seq) {
            self.size.events -= 1;
            self.size.bytes -= entry.event.bytes();
            segments.release(entry.segment);
        }
        self.flush_requested_at = MemtableSize::default();
    }

    pub(super) fn events(&self) -> Vec<WalEvent> {
        self.entries.iter().map(|entry| entry.event.clone()).collect()
    }
}
