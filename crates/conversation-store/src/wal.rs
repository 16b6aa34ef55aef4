//! What running turns have said between its commit and its place in the database.
//!
//! A token is committed by one write to the [journal](journal), a file beside the database: it outlives the process then, and
//! readers see it. Row by row it would dirty a page of its own conversation each; so some tens of them go into the database together,
//! and all of them before anything else happens to their conversation. Until then they are held here, and every read adds them.
//!
//! The order of one conversation is kept by a rule: while the writer has a command for it, nothing goes past the writer.

mod journal;
mod log;
mod recovery;

use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{
    AppendEvents, Seqs, TurnKey,
    error::Result,
    tail::{Growth, Tails},
};
use journal::Journal;
pub(crate) use journal::Retired;
pub(crate) use log::LiveEvent;
use log::{Held, LiveLog, is_short};

/// Files of the journal that wait for what they hold to be flushed by itself, as a turn ends or has said enough. What an older one
/// holds belongs to slow turns, and is flushed for its sake: so the journal is bounded.
const OLD_SEGMENTS: u64 = 8;

/// Conversations of one transaction when all are flushed, so that no turn's beginning or end waits for long behind them.
const FLUSHED_AT_ONCE: usize = 32;

/// What of some conversations is not in the database yet, each in order. Taken before a read begins, it and the read leave no gap.
#[derive(Debug, Default)]
pub(crate) struct Unflushed(HashMap<String, Vec<LiveEvent>>);

impl Unflushed {
    /// The events that a database lacks whose log of that conversation ends at `last_seq`.
    pub(crate) fn after(&self, conversation: &str, last_seq: u64) -> &[LiveEvent] {
        let events = self.0.get(conversation).map_or(&[][..], Vec::as_slice);
        &events[events.partition_point(|event| event.seq <= last_seq)..]
    }
}

/// What a transaction has done to running turns, in order.
#[derive(Debug)]
pub(crate) enum Step {
    /// The turn streams: it may take the short way from now on.
    Streams {
        conversation: String,
        turn: TurnKey,
        turn_id: String,
    },
    /// The turn takes no more, or only by the writer.
    Stops { conversation: String, turn: TurnKey },
    /// The conversation's log ends there.
    Grew { conversation: String, last_seq: u64 },
    /// What was held up to there is in the database.
    Flushed { conversation: String, last_seq: u64 },
    /// The conversation was deleted.
    Gone { conversation: String },
}

/// An append that took the short way.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) seqs: Seqs,
    /// Conversations that should be flushed soon, in groups for a transaction each.
    pub(crate) flush: Vec<Vec<String>>,
}

/// The running turns' events, shared by senders, readers and the writer.
#[derive(Clone)]
pub(crate) struct Live {
    state: Arc<Mutex<State>>,
    tails: Tails,
}

struct State {
    journal: Journal,
    logs: HashMap<String, LiveLog>,
}

impl Live {
    /// Takes up what journals of ended processes hold and the database lacks.
    pub(crate) fn recover(folder: &Path, db: &Connection, tails: Tails) -> Result<Self> {
        let state = recovery::recover(folder, db)?;
        Ok(Self {
            state: Arc::new(Mutex::new(state)),
            tails,
        })
    }

    /// Notes that a command goes to the writer: until the ticket is dropped, so does all else of its conversation.
    pub(crate) fn ticket(&self, conversation: &str) -> Ticket {
        let mut state = self.lock();
        state.logs.entry(conversation.to_owned()).or_default().queued += 1;
        Ticket {
            live: self.clone(),
            conversation: conversation.to_owned(),
        }
    }

    /// Commits an append to a streaming turn by the journal, and wakes readers; `None` when it must go to the writer.
    pub(crate) fn append(&self, append: &AppendEvents) -> Option<Appended> {
        if !is_short(append) {
            return None;
        }
        let mut guard = self.lock();
        let state = &mut *guard;
        let log = state.logs.get_mut(&append.conversation)?;
        if log.queued > 0 || log.is_full() {
            return None;
        }
        let events = log.number(append)?;
        let (first, last) = (events.first()?.seq, events.last()?.seq);
        let written = state.journal.append(&append.conversation, &events);
        // The writer says what is wrong with the disk, if anything is.
        let segment = written
            .inspect_err(|error| tracing::debug!(%error, "the journal takes nothing"))
            .ok()?;
        self.tails.wake_with(&append.conversation, || Growth {
            last_seq: last,
            events: events.iter().map(LiveEvent::event).collect(),
        });
        log.hold(events, segment);
        let mut flush = Vec::new();
        if log.is_worth_a_flush() {
            flush.push(vec![append.conversation.clone()]);
        }
        if let Some(begun) = state.journal.begin_segment_if_full() {
            flush.extend(state.groups(|held| held.segment + OLD_SEGMENTS < begun));
        }
        Some(Appended {
            seqs: Seqs { first, last },
            flush,
        })
    }

    /// Waits until the writer has no command for the conversation any more, if that is all that keeps an append from the short way.
    /// Tokens that followed a turn's start to the writer would keep each other there, at a page each.
    pub(crate) async fn settled(&self, append: &AppendEvents) {
        let settled = {
            let mut state = self.lock();
            let log = state.logs.get_mut(&append.conversation);
            let Some(log) = log.filter(|log| log.queued > 0 && is_short(append)) else {
                return;
            };
            let (waiting, settled) = oneshot::channel();
            log.waiting.push(waiting);
            settled
        };
        // It is never sent to, only dropped.
        let _ = settled.await;
    }

    /// What is held of one conversation.
    pub(crate) fn unflushed(&self, conversation: &str) -> Unflushed {
        let state = self.lock();
        let held = state.logs.get(conversation).filter(|log| !log.held.is_empty());
        let events = held.map(|log| (conversation.to_owned(), log.events()));
        Unflushed(events.into_iter().collect())
    }

    /// What is held of every conversation.
    pub(crate) fn all_unflushed(&self) -> Unflushed {
        let state = self.lock();
        let held = state.logs.iter().filter(|(_, log)| !log.held.is_empty());
        Unflushed(held.map(|(id, log)| (id.clone(), log.events())).collect())
    }

    /// Every conversation of which something is held, in groups for a transaction each.
    pub(crate) fn groups(&self) -> Vec<Vec<String>> {
        self.lock().groups(|_| true)
    }

    /// Takes note of what was committed; the journal's files that nobody needs any more.
    #[must_use = "files that are not removed stay"]
    pub(crate) fn committed(&self, steps: Vec<Step>) -> Vec<Retired> {
        let mut state = self.lock();
        for step in steps {
            state.take(step);
        }
        state.journal.retire()
    }

    /// Ends the journal; its files that nobody needs any more.
    #[must_use = "files that are not removed stay"]
    pub(crate) fn close(&self) -> Vec<Retired> {
        self.lock().journal.close()
    }

    /// A panic elsewhere can't leave it half changed: what is written is held at once, and nothing in between can fail.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The conversations whose oldest held event is such a one.
    fn groups(&self, is_such: impl Fn(&Held) -> bool) -> Vec<Vec<String>> {
        let held = self
            .logs
            .iter()
            .filter(|(_, log)| log.held.front().is_some_and(&is_such));
        let ids: Vec<_> = held.map(|(id, _)| id.clone()).collect();
        ids.chunks(FLUSHED_AT_ONCE).map(<[String]>::to_vec).collect()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Streams {
                conversation,
                turn,
                turn_id,
            } => {
                let log = self.logs.entry(conversation).or_default();
                log.streaming.insert(turn, turn_id);
            }
            Step::Grew { conversation, last_seq } => {
                if let Some(log) = self.logs.get_mut(&conversation) {
                    log.last_seq = last_seq;
                }
            }
            Step::Flushed { conversation, last_seq } => {
                if let Some(log) = self.logs.get_mut(&conversation) {
                    log.let_go(last_seq, &mut self.journal);
                }
                self.forget_if_idle(&conversation);
            }
            Step::Stops { conversation, turn } => {
                if let Some(log) = self.logs.get_mut(&conversation) {
                    log.streaming.remove(&turn);
                }
                self.forget_if_idle(&conversation);
            }
            Step::Gone { conversation } => {
                if let Some(log) = self.logs.get_mut(&conversation) {
                    log.streaming.clear();
                    log.let_go(u64::MAX, &mut self.journal);
                }
                self.forget_if_idle(&conversation);
            }
        }
    }

    fn forget_if_idle(&mut self, conversation: &str) {
        let is_idle = |log: &LiveLog| log.queued == 0 && log.streaming.is_empty() && log.held.is_empty();
        if self.logs.get(conversation).is_some_and(is_idle) {
            self.logs.remove(conversation);
        }
    }
}

/// A command on its way through the writer.
pub(crate) struct Ticket {
    live: Live,
    conversation: String,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.live.lock();
        if let Some(log) = state.logs.get_mut(&self.conversation) {
            log.queued -= 1;
            if log.queued == 0 {
                log.waiting.clear();
            }
        }
        state.forget_if_idle(&self.conversation);
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}
