//! Renames and removes files together with their entries in the index.
//!
//! One lock orders these changes, so that the file of a forgotten conversation never reappears. It is held while a file
//! is renamed or removed, never while one is read or written; the index has a lock of its own, for readers that must
//! not wait for a disk.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use super::file;
use super::queue::WriteJob;
use crate::cache_index::{CacheIndex, Forgotten};
use crate::file_generation::FileGeneration;

/// The folder with the conversations' files.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    index: Arc<CacheIndex>,
    /// Held from before a change of the index until the same change is made on disk.
    changes: Mutex<()>,
}

impl Folder {
    pub(super) fn new(path: PathBuf, index: Arc<CacheIndex>) -> Self {
        Self {
            path,
            index,
            changes: Mutex::new(()),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of a conversation's file.
    pub(super) fn file(&self, conversation: &str) -> PathBuf {
        file::path(&self.path, conversation)
    }

    /// Returns true if a job's file was neither removed nor replaced since the job was queued.
    pub(super) fn is_wanted(&self, job: &WriteJob) -> bool {
        self.index.has_file(&job.conversation, job.generation)
    }

    /// Gives a new file its final name if it is still wanted, and removes it otherwise.
    ///
    /// # Errors
    /// The file can't be renamed.
    pub(super) fn publish(&self, new: &Path, job: &WriteJob) -> io::Result<()> {
        let _changes = self.lock();
        let renamed = if self.is_wanted(job) {
            fs::rename(new, self.file(&job.conversation))
        } else {
            Ok(())
        };
        // If it wasn't renamed, it is still there.
        file::remove(new);
        renamed
    }

    /// Removes a conversation's file if it is of this generation. Returns false if it was removed or replaced before.
    pub(super) fn remove(&self, conversation: &str, generation: FileGeneration) -> bool {
        let _changes = self.lock();
        let is_removed = self.index.remove_file(conversation, generation);
        if is_removed {
            file::remove(&self.file(conversation));
        }
        is_removed
    }

    /// Removes a conversation from the index, and its file.
    pub(super) fn forget(&self, conversation: &str) -> Forgotten {
        let _changes = self.lock();
        let forgotten = self.index.forget(conversation);
        if forgotten.on_disk {
            file::remove(&self.file(conversation));
        }
        forgotten
    }

    /// Removes the least recently used files until the rest is within the budget.
    pub(super) fn keep_within(&self, budget_bytes: u64) {
        let _changes = self.lock();
        while let Some(conversation) = self.index.remove_beyond(budget_bytes) {
            file::remove(&self.file(&conversation));
        }
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // The lock guards no value of its own.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
