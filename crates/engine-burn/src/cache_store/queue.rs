//! The queue of writes, from the scheduler to the writer. Bounded in bytes; nothing waits for room in it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::file::Frame;
use crate::file_generation::FileGeneration;

/// Bytes that may wait to be written: eight long turns of the default model, or a whole cache of it. A single write
/// always has room, however large it is.
const MAX_QUEUED_BYTES: usize = 128 << 20;

/// Frames to be written to one file.
pub(super) struct WriteJob {
    pub(super) conversation: String,
    /// The file that the frames belong to; obsolete when the conversation has another one or none.
    pub(super) generation: FileGeneration,
    /// Where the frames go; 0 begins a new file.
    pub(super) offset: u64,
    pub(super) frames: Vec<Frame>,
}

impl WriteJob {
    fn bytes(&self) -> usize {
        self.frames.iter().map(Frame::bytes).sum()
    }
}

/// The jobs that aren't done yet.
#[derive(Debug, Default)]
pub(super) struct WriteQueue {
    state: Mutex<State>,
    /// Notified when a job is queued and when one is done.
    wakeup: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<WriteJob>,
    /// The conversation whose job the writer has taken.
    writing: Option<String>,
    /// Bytes of all jobs, including the one that is being written.
    queued_bytes: usize,
    is_closing: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("jobs", &self.jobs.len())
            .field("queued_bytes", &self.queued_bytes)
            .finish_non_exhaustive()
    }
}

impl WriteQueue {
    /// Returns true if there is room for a write of `bytes`.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let queued_bytes = self.lock().queued_bytes;
        queued_bytes == 0 || queued_bytes + bytes <= MAX_QUEUED_BYTES
    }

    /// Adds a job, for which the caller has checked that there is room.
    pub(super) fn push(&self, job: WriteJob) {
        let mut state = self.lock();
        state.queued_bytes += job.bytes();
        state.jobs.push_back(job);
        drop(state);
        self.wakeup.notify_all();
    }

    /// Waits for the next job; [`WriteQueue::finish`] must follow. Returns `None` when the queue is closing and empty.
    pub(super) fn next(&self) -> Option<WriteJob> {
        let has_nothing = |state: &mut State| state.jobs.is_empty() && !state.is_closing;
        let state = self.wakeup.wait_while(self.lock(), has_nothing);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let job = state.jobs.pop_front()?;
        state.writing = Some(job.conversation.clone());
        Some(job)
    }

    /// Marks a job as done, written or not.
    pub(super) fn finish(&self, job: &WriteJob) {
        let mut state = self.lock();
        state.queued_bytes -= job.bytes();
        state.writing = None;
        drop(state);
        self.wakeup.notify_all();
    }

    /// Waits until no job of a conversation is queued or being written.
    pub(super) fn wait_written(&self, conversation: &str) {
        let is_unwritten = |state: &mut State| {
            let mut queued = state.jobs.iter().map(|job| job.conversation.as_str());
            state.writing.as_deref() == Some(conversation) || queued.any(|queued| queued == conversation)
        };
        drop(self.wakeup.wait_while(self.lock(), is_unwritten));
    }

    /// Lets the writer end once the queue is empty.
    pub(super) fn close(&self) {
        self.lock().is_closing = true;
        self.wakeup.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything that could panic, so a poisoned state is still consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
