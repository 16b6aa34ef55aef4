//! The index of the files, and the queue of writes to them.
//!
//! One mutex, held for map operations and while a file is removed or renamed, so that a forgotten conversation never
//! reappears.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use engine::TurnTag;

use super::file::{self, Frame, ScannedFile};
use crate::file_generation::FileGeneration;

/// Bytes that may wait to be written: eight long turns of the default model, or a whole cache of it. A single write
/// always has room, however large it is.
const MAX_QUEUED_BYTES: usize = 128 << 20;

/// A file that is there, or will be once the queue is empty.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) generation: FileGeneration,
    /// The turn that it ends with.
    pub(super) through: TurnTag,
    /// Where its whole frames end.
    pub(super) bytes: u64,
    /// The value of `uses` when it was used last.
    used: u64,
    /// Its writes in the queue.
    waiting: usize,
}

/// Frames to be written to one file.
pub(super) struct WriteJob {
    pub(super) conversation: String,
    pub(super) path: PathBuf,
    /// Where the frames go; 0 begins a new file.
    pub(super) offset: u64,
    pub(super) frames: Vec<Frame>,
    /// The turn that the file ends with afterwards.
    pub(super) through: TurnTag,
}

impl WriteJob {
    pub(super) fn bytes(&self) -> usize {
        self.frames.iter().map(Frame::bytes).sum()
    }
}

/// The state that the scheduler, the engine's callers and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Notified when there is something to write, and when something was written or removed.
    wakeup: Condvar,
}

pub(super) struct State {
    pub(super) entries: HashMap<String, Entry>,
    jobs: VecDeque<(WriteJob, FileGeneration)>,
    /// Bytes of the jobs, and of the one that is being written.
    queued_bytes: usize,
    is_closing: bool,
    pub(super) pruned: Vec<String>,
    budget_bytes: u64,
    /// Counts uses, for finding the least recently used file.
    uses: u64,
    /// Counts files that were begun.
    generations: u64,
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
    pub(super) fn new(files: Vec<ScannedFile>, budget_bytes: u64) -> Self {
        let mut state = State {
            entries: HashMap::new(),
            jobs: VecDeque::new(),
            queued_bytes: 0,
            is_closing: false,
            pruned: Vec::new(),
            budget_bytes,
            uses: 0,
            generations: 0,
        };
        for ScannedFile {
            conversation,
            through,
            bytes,
        } in files
        {
            let generation = state.next_generation();
            state.insert(conversation, (generation, through, bytes));
        }
        Self {
            state: Mutex::new(state),
            wakeup: Condvar::new(),
        }
    }

    /// Queues a job for the writer. Returns the generation of its file, or `None` if the `expected` one has been
    /// removed meanwhile.
    pub(super) fn submit(&self, job: WriteJob, expected: Option<FileGeneration>) -> Option<FileGeneration> {
        let mut state = self.lock();
        let WriteJob { offset, through, .. } = job;
        let generation = if offset == 0 {
            Some(state.next_generation())
        } else {
            expected
        }?;
        let entry = state.entry(&job.conversation, generation);
        if offset > 0 && entry.is_none_or(|entry| entry.bytes != offset) {
            return None;
        }
        let waiting = state
            .entry(&job.conversation, generation)
            .map_or(0, |entry| entry.waiting);
        let bytes = offset + job.bytes() as u64;
        state.insert(job.conversation.clone(), (generation, through, bytes));
        if let Some(entry) = state.entry(&job.conversation, generation) {
            entry.waiting = waiting + 1;
        }
        state.queued_bytes += job.bytes();
        state.jobs.push_back((job, generation));
        drop(state);
        self.wakeup.notify_all();
        Some(generation)
    }

    /// Waits until no write to a file is queued, and returns its entry.
    pub(super) fn settled(&self, name: &str) -> Option<Entry> {
        let state = self.lock();
        let waits = |state: &mut State| state.entries.get(name).is_some_and(|entry| entry.waiting > 0);
        let state = self.wakeup.wait_while(state, waits);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        state.entries.get(name).cloned()
    }

    /// Waits for the next job whose file is still wanted. Returns `None` when the store is closing and the queue is
    /// empty.
    pub(super) fn next(&self) -> Option<(WriteJob, FileGeneration)> {
        let mut state = self.lock();
        loop {
            let Some((job, generation)) = state.jobs.pop_front() else {
                if state.is_closing {
                    return None;
                }
                state = self.wakeup.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if state.is_wanted(&job, generation) {
                return Some((job, generation));
            }
            // No thread waits for it: the waiters were woken when its file was removed.
            state.finish(&job, generation);
        }
    }

    /// Marks a job as finished, written or not.
    pub(super) fn finish(&self, job: &WriteJob, generation: FileGeneration) {
        self.lock().finish(job, generation);
        self.wakeup.notify_all();
    }

    /// Removes a file and its entry.
    pub(super) fn forget(&self, name: &str, path: &Path) {
        let mut state = self.lock();
        if state.entries.remove(name).is_some() {
            // Within the lock, as the writer's renaming is, so that the file doesn't reappear.
            file::remove(path);
        }
        drop(state);
        self.wakeup.notify_all();
    }

    pub(super) fn close(&self) {
        self.lock().is_closing = true;
        self.wakeup.notify_all();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything that could panic, so a poisoned state is still consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns true if the queue has room for a write of `bytes`.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.queued_bytes == 0 || self.queued_bytes + bytes <= MAX_QUEUED_BYTES
    }

    /// Returns true if a job's file is still of the job's generation. A newer generation makes older jobs obsolete.
    pub(super) fn is_wanted(&self, job: &WriteJob, generation: FileGeneration) -> bool {
        let entry = self.entries.get(&job.conversation);
        entry.is_some_and(|entry| entry.generation == generation)
    }

    /// Records a use of a conversation's file.
    pub(super) fn touch(&mut self, name: &str) {
        self.uses += 1;
        if let Some(entry) = self.entries.get_mut(name) {
            entry.used = self.uses;
        }
    }

    /// Corrects an entry after its file was read.
    pub(super) fn correct(&mut self, name: &str, generation: FileGeneration, (through, bytes): (TurnTag, u64)) {
        if let Some(entry) = self.entry(name, generation) {
            (entry.through, entry.bytes) = (through, bytes);
        }
        self.touch(name);
    }

    /// Removes the least recently used entry if all files together exceed the budget, and returns its conversation.
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

    fn finish(&mut self, job: &WriteJob, generation: FileGeneration) {
        self.queued_bytes -= job.bytes();
        if let Some(entry) = self.entry(&job.conversation, generation) {
            entry.waiting -= 1;
        }
    }

    fn entry(&mut self, name: &str, generation: FileGeneration) -> Option<&mut Entry> {
        self.entries
            .get_mut(name)
            .filter(|entry| entry.generation == generation)
    }

    fn insert(&mut self, name: String, (generation, through, bytes): (FileGeneration, TurnTag, u64)) {
        self.uses += 1;
        let used = self.uses;
        let entry = Entry {
            generation,
            through,
            bytes,
            used,
            waiting: 0,
        };
        self.entries.insert(name, entry);
    }

    fn next_generation(&mut self) -> FileGeneration {
        self.generations += 1;
        FileGeneration::new(self.generations)
    }
}
