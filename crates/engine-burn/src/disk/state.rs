//! What is known of the files, and what waits to be written to them.
//!
//! One mutex, held for a few map operations and for the removal or the renaming of a file, so that a conversation that was forgotten
//! never comes back.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use engine::TurnTag;

use super::file::{self, Found, Frame};

/// Bytes that may wait to be written: eight long turns of the default model, or a whole cache of it. One piece always fits, however
/// large it is.
const MAX_QUEUED_BYTES: usize = 128 << 20;

/// Tells a file from the one that had its name before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileGeneration(u64);

/// A file that is there, or will be when the queue is empty.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) life: FileGeneration,
    /// The turn that it ends with.
    pub(super) through: TurnTag,
    /// Where its whole frames end.
    pub(super) bytes: u64,
    /// Counts uses, for telling which was longest ago.
    used: u64,
    /// Pieces of it that wait to be written.
    waiting: usize,
}

/// Frames for one file.
pub(super) struct Job {
    pub(super) conversation: String,
    pub(super) path: PathBuf,
    /// Where they go; at 0 begins a new file.
    pub(super) end: u64,
    pub(super) frames: Vec<Frame>,
    /// The turn that the file ends with then.
    pub(super) through: TurnTag,
}

impl Job {
    pub(super) fn bytes(&self) -> usize {
        self.frames.iter().map(Frame::bytes).sum()
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Rung when there is something to write, and when something was written.
    bell: Condvar,
}

pub(super) struct State {
    pub(super) entries: HashMap<String, Entry>,
    jobs: VecDeque<(Job, FileGeneration)>,
    /// Bytes of the jobs, and of the one that is being written.
    queued_bytes: usize,
    is_closing: bool,
    pub(super) pruned: Vec<String>,
    budget_bytes: u64,
    uses: u64,
    lives: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("entries", &self.entries)
            .field("queued_bytes", &self.queued_bytes)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(found: Vec<Found>, budget_bytes: u64) -> Self {
        let mut state = State {
            entries: HashMap::new(),
            jobs: VecDeque::new(),
            queued_bytes: 0,
            is_closing: false,
            pruned: Vec::new(),
            budget_bytes,
            uses: 0,
            lives: 0,
        };
        for Found {
            conversation,
            through,
            bytes,
        } in found
        {
            let life = state.new_life();
            state.enter(conversation, (life, through, bytes));
        }
        Self {
            state: Mutex::new(state),
            bell: Condvar::new(),
        }
    }

    /// Leaves a job for the writer; the life of its file, unless that has ended since `expected`.
    pub(super) fn submit(&self, job: Job, expected: Option<FileGeneration>) -> Option<FileGeneration> {
        let mut state = self.lock();
        let Job { end, through, .. } = job;
        let life = if end == 0 { Some(state.new_life()) } else { expected }?;
        let entry = state.entry(&job.conversation, life);
        if end > 0 && entry.is_none_or(|entry| entry.bytes != end) {
            return None;
        }
        let waiting = state.entry(&job.conversation, life).map_or(0, |entry| entry.waiting);
        let bytes = end + job.bytes() as u64;
        state.enter(job.conversation.clone(), (life, through, bytes));
        if let Some(entry) = state.entry(&job.conversation, life) {
            entry.waiting = waiting + 1;
        }
        state.queued_bytes += job.bytes();
        state.jobs.push_back((job, life));
        drop(state);
        self.bell.notify_all();
        Some(life)
    }

    /// What is known of a file once nothing of it waits to be written.
    pub(super) fn settled(&self, name: &str) -> Option<Entry> {
        let state = self.lock();
        let waits = |state: &mut State| state.entries.get(name).is_some_and(|entry| entry.waiting > 0);
        let state = self.bell.wait_while(state, waits);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        state.entries.get(name).cloned()
    }

    /// Waits for the next job whose file is still wanted; `None` when all is written and nothing more will come.
    pub(super) fn next(&self) -> Option<(Job, FileGeneration)> {
        let mut state = self.lock();
        loop {
            let Some((job, life)) = state.jobs.pop_front() else {
                if state.is_closing {
                    return None;
                }
                state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if state.is_wanted(&job, life) {
                return Some((job, life));
            }
            // Nobody waits for it: whoever did was told when its file went.
            state.done(&job, life);
        }
    }

    /// Says that a job is done, well or not.
    pub(super) fn done(&self, job: &Job, life: FileGeneration) {
        self.lock().done(job, life);
        self.bell.notify_all();
    }

    /// Removes a file, and what is known of it.
    pub(super) fn forget(&self, name: &str, path: &Path) {
        let mut state = self.lock();
        if state.entries.remove(name).is_some() {
            // Within the lock: the writer renames within it too, so that nothing comes back.
            file::remove(path);
        }
        drop(state);
        self.bell.notify_all();
    }

    pub(super) fn close(&self) {
        self.lock().is_closing = true;
        self.bell.notify_all();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything that could panic, so a poisoned state is still true.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether a piece of so many bytes can wait.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.queued_bytes == 0 || self.queued_bytes + bytes <= MAX_QUEUED_BYTES
    }

    /// Whether the file of a job is still the one that it is for. A newer life of the same file makes older jobs needless.
    pub(super) fn is_wanted(&self, job: &Job, life: FileGeneration) -> bool {
        let entry = self.entries.get(&job.conversation);
        entry.is_some_and(|entry| entry.life == life)
    }

    /// Notes that a conversation was used.
    pub(super) fn touch(&mut self, name: &str) {
        self.uses += 1;
        if let Some(entry) = self.entries.get_mut(name) {
            entry.used = self.uses;
        }
    }

    /// Notes what a file was found to hold.
    pub(super) fn correct(&mut self, name: &str, life: FileGeneration, (through, bytes): (TurnTag, u64)) {
        if let Some(entry) = self.entry(name, life) {
            (entry.through, entry.bytes) = (through, bytes);
        }
        self.touch(name);
    }

    /// The conversation that was used longest ago, while all files together are beyond the budget.
    pub(super) fn take_beyond_budget(&mut self) -> Option<String> {
        let bytes: u64 = self.entries.values().map(|entry| entry.bytes).sum();
        if bytes <= self.budget_bytes {
            return None;
        }
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
        let oldest = oldest.map(|(name, _)| name.clone())?;
        self.entries.remove(&oldest);
        self.pruned.push(oldest.clone());
        Some(oldest)
    }

    fn done(&mut self, job: &Job, life: FileGeneration) {
        self.queued_bytes -= job.bytes();
        if let Some(entry) = self.entry(&job.conversation, life) {
            entry.waiting -= 1;
        }
    }

    fn entry(&mut self, name: &str, life: FileGeneration) -> Option<&mut Entry> {
        self.entries.get_mut(name).filter(|entry| entry.life == life)
    }

    fn enter(&mut self, name: String, (life, through, bytes): (FileGeneration, TurnTag, u64)) {
        self.uses += 1;
        let used = self.uses;
        let entry = Entry {
            life,
            through,
            bytes,
            used,
            waiting: 0,
        };
        self.entries.insert(name, entry);
    }

    fn new_life(&mut self) -> FileGeneration {
        self.lives += 1;
        FileGeneration(self.lives)
    }
}
