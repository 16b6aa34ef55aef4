//! The write-ahead log of running turns: commits their tokens in front of the database, and holds them in memory until
//! a flush.
//!
//! In goes an append to a streaming turn. It is written to a [segment file](segments) beside the database, so that it
//! outlives the process, and put into its conversation's [memtable](memtable), which every read is merged with. Out
//! come groups of conversations to be flushed: SQLite is the sorted store, and a row written by itself would dirty a
//! page of its conversation's own, so some tens of rows are moved together, and all of them before anything else
//! happens to their conversation.
//!
//! The order of one conversation's events is kept by a rule: while the writer has a command for it, no append takes the
//! fast path past the writer. This module never writes to the database itself.

mod memtable;
mod recovery;
mod segments;

use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{
    AppendEvents, SeqRange, TurnKey,
    error::Result,
    tail::{LogGrowth, Subscriptions},
    unflushed::{MemtableSnapshot, WalEvent},
};
use memtable::{Memtable, MemtableEntry, may_take_fast_path};
pub(crate) use segments::ObsoleteSegment;
use segments::Segments;

/// The newest segments, which become obsolete by the ordinary flushes, as turns end or reach a flush's size. Events in
/// an older segment belong to slow turns; those are flushed so that the segment can be removed, which bounds the log.
const MAX_SEGMENT_AGE: u64 = 8;

/// Conversations in one transaction when all are flushed, so that no turn's beginning or end waits long behind it.
const FLUSH_GROUP: usize = 32;

/// What a committed transaction changes in memory. The effects of one transaction are applied in order.
#[derive(Debug)]
pub(crate) enum Effect {
    /// The turn streams: its appends may take the fast path from now on.
    TurnStreams {
        conversation: String,
        turn: TurnKey,
        turn_id: String,
    },
    /// The turn's later appends go through the writer, which accepts or refuses them.
    TurnLeavesFastPath { conversation: String, turn: TurnKey },
    /// The conversation's log ends at `last_seq`.
    LogGrew { conversation: String, last_seq: u64 },
    /// The database has the memtable's events up to `last_seq`.
    Flushed { conversation: String, last_seq: u64 },
    /// The conversation was deleted.
    Deleted { conversation: String },
}

/// An append that was committed on the fast path.
#[derive(Debug)]
pub(crate) struct FastAppend {
    pub(crate) seqs: SeqRange,
    /// Conversations that should be flushed soon, in groups of one transaction each.
    pub(crate) flush: Vec<Vec<String>>,
}

/// The write-ahead log, shared by senders, readers and the writer.
#[derive(Clone)]
pub(crate) struct Wal {
    state: Arc<Mutex<WalState>>,
    subscriptions: Subscriptions,
}

struct WalState {
    segments: Segments,
    /// One for each conversation that streams, has unflushed events or a command with the writer.
    memtables: HashMap<String, Memtable>,
}

impl Wal {
    /// Loads what the segments of ended processes hold and the database lacks.
    pub(crate) fn recover(folder: &Path, db: &Connection, subscriptions: Subscriptions) -> Result<Self> {
        let state = recovery::recover(folder, db)?;
        Ok(Self {
            state: Arc::new(Mutex::new(state)),
            subscriptions,
        })
    }

    /// Closes the conversation's fast path until the guard is dropped: a command for it goes to the writer.
    pub(crate) fn close_fast_path(&self, conversation: &str) -> FastPathGuard {
        let mut state = self.lock();
        let memtable = state.memtables.entry(conversation.to_owned()).or_default();
        memtable.queued_commands += 1;
        FastPathGuard {
            wal: self.clone(),
            conversation: conversation.to_owned(),
        }
    }

    /// Commits an append to a streaming turn and wakes its readers. Returns `None` if the append must go through the
    /// writer.
    pub(crate) fn append(&self, append: &AppendEvents) -> Option<FastAppend> {
        if !may_take_fast_path(append) {
            return None;
        }
        let mut guard = self.lock();
        let state = &mut *guard;
        let memtable = state.memtables.get_mut(&append.conversation)?;
        if memtable.queued_commands > 0 || memtable.is_full() {
            return None;
        }
        let events = memtable.number(append)?;
        let (first, last) = (events.first()?.seq, events.last()?.seq);
        let written = state.segments.append(&append.conversation, &events);
        // The append goes to the writer then, which reports what is wrong with the disk, if anything is.
        let segment = written
            .inspect_err(|error| tracing::debug!(%error, "nothing can be appended to the journal"))
            .ok()?;
        self.subscriptions.notify_with(&append.conversation, || LogGrowth {
            last_seq: last,
            events: events.iter().map(WalEvent::event).collect(),
        });
        memtable.insert(events, segment);
        let mut flush = Vec::new();
        if memtable.is_flush_due() {
            flush.push(vec![append.conversation.clone()]);
        }
        if let Some(newest) = state.segments.rotate_if_full() {
            flush.extend(state.flush_groups(|oldest| oldest.segment + MAX_SEGMENT_AGE < newest));
        }
        Some(FastAppend {
            seqs: SeqRange { first, last },
            flush,
        })
    }

    /// Waits until the writer has no command for the conversation, if that is all that keeps an append from the fast
    /// path. Otherwise tokens that followed a turn's start to the writer would keep each other there, at a page each.
    pub(crate) async fn wait_for_fast_path(&self, append: &AppendEvents) {
        let opened = {
            let mut state = self.lock();
            let memtable = state.memtables.get_mut(&append.conversation);
            let Some(memtable) = memtable.filter(|memtable| memtable.queued_commands > 0 && may_take_fast_path(append))
            else {
                return;
            };
            let (waiter, opened) = oneshot::channel();
            memtable.waiters.push(waiter);
            opened
        };
        // The sender is only ever dropped, which ends the wait with an error that means nothing.
        let _ = opened.await;
    }

    /// Copies the memtable of one conversation.
    pub(crate) fn snapshot(&self, conversation: &str) -> MemtableSnapshot {
        let state = self.lock();
        let memtable = state
            .memtables
            .get(conversation)
            .filter(|memtable| !memtable.is_empty());
        let filled = memtable.map(|memtable| (conversation.to_owned(), memtable.events()));
        filled.into_iter().collect()
    }

    /// Copies every memtable.
    pub(crate) fn snapshot_all(&self) -> MemtableSnapshot {
        let state = self.lock();
        let filled = state.memtables.iter().filter(|(_, memtable)| !memtable.is_empty());
        filled.map(|(id, memtable)| (id.clone(), memtable.events())).collect()
    }

    /// Returns every conversation that has unflushed events, in groups of one transaction each.
    pub(crate) fn flush_groups(&self) -> Vec<Vec<String>> {
        self.lock().flush_groups(|_| true)
    }

    /// Applies the effects of a committed transaction. Returns the segments that became obsolete by it.
    #[must_use = "segments that are not removed stay on disk"]
    pub(crate) fn apply(&self, effects: Vec<Effect>) -> Vec<ObsoleteSegment> {
        let mut state = self.lock();
        for effect in effects {
            state.apply(effect);
        }
        state.segments.take_obsolete()
    }

    /// Closes the current segment. Returns the segments that are obsolete.
    #[must_use = "segments that are not removed stay on disk"]
    pub(crate) fn close(&self) -> Vec<ObsoleteSegment> {
        self.lock().segments.close()
    }

    /// A panic elsewhere can't leave the state half changed: what is written is inserted at once, and nothing in
    /// between can fail.
    fn lock(&self) -> MutexGuard<'_, WalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WalState {
    /// Returns the conversations whose oldest unflushed event satisfies `is_due`, in groups of one transaction each.
    fn flush_groups(&self, is_due: impl Fn(&MemtableEntry) -> bool) -> Vec<Vec<String>> {
        let due = self
            .memtables
            .iter()
            .filter(|(_, memtable)| memtable.oldest().is_some_and(&is_due));
        let ids: Vec<_> = due.map(|(id, _)| id.clone()).collect();
        ids.chunks(FLUSH_GROUP).map(<[String]>::to_vec).collect()
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::TurnStreams {
                conversation,
                turn,
                turn_id,
            } => {
                let memtable = self.memtables.entry(conversation).or_default();
                memtable.streaming.insert(turn, turn_id);
            }
            Effect::LogGrew { conversation, last_seq } => {
                if let Some(memtable) = self.memtables.get_mut(&conversation) {
                    memtable.last_seq = last_seq;
                }
            }
            Effect::Flushed { conversation, last_seq } => {
                if let Some(memtable) = self.memtables.get_mut(&conversation) {
                    memtable.release(last_seq, &mut self.segments);
                }
                self.remove_if_idle(&conversation);
            }
            Effect::TurnLeavesFastPath { conversation, turn } => {
                if let Some(memtable) = self.memtables.get_mut(&conversation) {
                    memtable.streaming.remove(&turn);
                }
                self.remove_if_idle(&conversation);
            }
            Effect::Deleted { conversation } => {
                if let Some(memtable) = self.memtables.get_mut(&conversation) {
                    memtable.streaming.clear();
                    memtable.release(u64::MAX, &mut self.segments);
                }
                self.remove_if_idle(&conversation);
            }
        }
    }

    fn remove_if_idle(&mut self, conversation: &str) {
        if self.memtables.get(conversation).is_some_and(Memtable::is_idle) {
            self.memtables.remove(conversation);
        }
    }
}

/// Keeps a conversation's fast path closed while a command of it is queued or run by the writer.
pub(crate) struct FastPathGuard {
    wal: Wal,
    conversation: String,
}

impl Drop for FastPathGuard {
    fn drop(&mut self) {
        let mut state = self.wal.lock();
        if let Some(memtable) = state.memtables.get_mut(&self.conversation) {
            memtable.queued_commands -= 1;
            if memtable.queued_commands == 0 {
                memtable.waiters.clear();
            }
        }
        state.remove_if_idle(&self.conversation);
    }
}

impl fmt::Debug for Wal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wal").finish_non_exhaustive()
    }
}
