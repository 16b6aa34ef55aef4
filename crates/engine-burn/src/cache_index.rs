//! The registry of cached conversations: the turn that each can be continued from, in memory or on disk.
//!
//! It is the only place that knows both. The scheduler, its sequences and its pool record here what memory has, the
//! cache store what its files have, and the engine's callers read [`CacheIndex::cached_through`]. Its lock is held for
//! map operations only: it never waits for a file or for a step of the model, and it holds no keys and values.

mod files;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::TurnTag;

pub(crate) use files::{CacheFile, FileContents};

/// What is cached of every conversation. Shared by the engine's callers, the scheduler and the writer of files.
#[derive(Debug, Default)]
pub(crate) struct CacheIndex {
    state: Mutex<State>,
    /// Bytes of keys and values in memory.
    memory_bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// The conversations that are in memory, on disk, or both.
    entries: HashMap<String, Entry>,
    /// Counts uses of files, for finding the least recently used one.
    uses: u64,
    /// Counts files that were begun.
    generations: u64,
    is_closed: bool,
}

/// One conversation. Removed as soon as both fields are `None`.
#[derive(Debug, Default)]
struct Entry {
    memory: Option<InMemory>,
    file: Option<CacheFile>,
}

#[derive(Debug, Clone, Copy)]
enum InMemory {
    /// It is being loaded, or a sequence computes its next turn: it can't be continued from now.
    Busy,
    /// It ends with this turn, and can be continued from.
    Idle(TurnTag),
}

/// What there was of a conversation that was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forgotten {
    /// The scheduler has it, and must drop it.
    pub(crate) in_memory: bool,
    /// It has a file, which must be removed.
    pub(crate) on_disk: bool,
}

impl CacheIndex {
    /// Returns the turn that a conversation can be continued from; `None` while a turn of it runs.
    pub(crate) fn cached_through(&self, name: &str) -> Option<TurnTag> {
        let state = self.lock();
        let entry = state.entries.get(name).filter(|_| !state.is_closed)?;
        match entry.memory {
            Some(InMemory::Busy) => None,
            Some(InMemory::Idle(through)) => Some(through),
            None => entry.file.map(|file| file.contents.through),
        }
    }

    /// Marks a conversation as being loaded or computed.
    pub(crate) fn begin(&self, name: &str) {
        let mut state = self.lock();
        state.entries.entry(name.to_owned()).or_default().memory = Some(InMemory::Busy);
    }

    /// Marks a conversation in memory as idle, ending with turn `through`. Does nothing and returns false if it was
    /// forgotten since [`CacheIndex::begin`].
    pub(crate) fn end(&self, name: &str, through: TurnTag) -> bool {
        let mut state = self.lock();
        let Some(memory) = state.entries.get_mut(name).and_then(|entry| entry.memory.as_mut()) else {
            return false;
        };
        *memory = InMemory::Idle(through);
        true
    }

    /// Marks a conversation as not in memory; what is on disk can be continued from.
    pub(crate) fn evict(&self, name: &str) {
        self.lock().update(name, |entry| entry.memory = None);
    }

    /// Removes all that is known of a conversation, and returns what there was.
    pub(crate) fn forget(&self, name: &str) -> Forgotten {
        let entry = self.lock().entries.remove(name).unwrap_or_default();
        Forgotten {
            in_memory: entry.memory.is_some(),
            on_disk: entry.file.is_some(),
        }
    }

    /// Lets nothing be continued from: the model is gone. What is known of files stays, so that they can still be
    /// written and removed.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
    }

    /// Returns the bytes of keys and values in memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// Sets the bytes of keys and values in memory.
    pub(crate) fn set_memory_bytes(&self, bytes: usize) {
        self.memory_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything that could panic, so a poisoned state is still consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Changes an entry if there is one, and removes it if nothing is left of it.
    fn update<T>(&mut self, name: &str, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.entries.get_mut(name)?;
        let result = change(entry);
        if entry.memory.is_none() && entry.file.is_none() {
            self.entries.remove(name);
        }
        Some(result)
    }
}
