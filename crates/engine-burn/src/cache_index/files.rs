//! The files in the registry: what each has, and which was used least recently.

use engine::TurnTag;

use super::{CacheIndex, State};
use crate::file_generation::FileGeneration;

/// A conversation's file that is on disk, or will be once its writes are done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CacheFile {
    pub(crate) generation: FileGeneration,
    pub(crate) contents: FileContents,
    /// The value of `uses` when it was used last.
    used: u64,
}

/// What a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileContents {
    /// The turn that it ends with.
    pub(crate) through: TurnTag,
    /// Where its whole frames end.
    pub(crate) bytes: u64,
}

impl CacheIndex {
    /// Returns the file of a conversation.
    pub(crate) fn file(&self, name: &str) -> Option<CacheFile> {
        self.lock().entries.get(name)?.file
    }

    /// Returns true if the file of a conversation is of this generation: neither removed nor replaced.
    pub(crate) fn has_file(&self, name: &str, generation: FileGeneration) -> bool {
        self.file(name).is_some_and(|file| file.generation == generation)
    }

    /// Adds a file that was found on disk.
    pub(crate) fn add_file(&self, name: String, contents: FileContents) {
        let mut state = self.lock();
        let file = state.new_file(contents);
        state.entries.entry(name).or_default().file = Some(file);
    }

    /// Adds a file that will be written, in place of an earlier one. Returns `None` if its conversation is no longer in
    /// memory: it was forgotten, and must not reappear.
    pub(crate) fn begin_file(&self, name: &str, contents: FileContents) -> Option<FileGeneration> {
        let mut state = self.lock();
        let file = state.new_file(contents);
        let entry = state.entries.get_mut(name).filter(|entry| entry.memory.is_some())?;
        entry.file = Some(file);
        Some(file.generation)
    }

    /// Changes what a file has, and records a use of it. Returns false if it was removed or replaced meanwhile.
    pub(crate) fn set_contents(&self, name: &str, generation: FileGeneration, contents: FileContents) -> bool {
        let mut state = self.lock();
        let Some(file) = state.file_mut(name).filter(|file| file.generation == generation) else {
            return false;
        };
        file.contents = contents;
        state.touch(name);
        true
    }

    /// Records a use of a conversation's file.
    pub(crate) fn touch_file(&self, name: &str) {
        self.lock().touch(name);
    }

    /// Removes a file of this generation. Returns false if it was removed or replaced before.
    pub(crate) fn remove_file(&self, name: &str, generation: FileGeneration) -> bool {
        let removed = self.lock().update(name, |entry| {
            entry.file.take_if(|file| file.generation == generation).is_some()
        });
        removed.unwrap_or(false)
    }

    /// Removes the least recently used file if all files together exceed the budget. Returns the name of its
    /// conversation.
    pub(crate) fn remove_beyond(&self, budget_bytes: u64) -> Option<String> {
        let mut state = self.lock();
        let files = state
            .entries
            .iter()
            .filter_map(|(name, entry)| Some((name, entry.file?)));
        let bytes: u64 = files.clone().map(|(_, file)| file.contents.bytes).sum();
        let oldest = files.min_by_key(|(_, file)| file.used).map(|(name, _)| name.clone());
        let oldest = oldest.filter(|_| bytes > budget_bytes)?;
        state.update(&oldest, |entry| entry.file = None);
        Some(oldest)
    }
}

impl State {
    fn new_file(&mut self, contents: FileContents) -> CacheFile {
        self.generations += 1;
        self.uses += 1;
        CacheFile {
            generation: FileGeneration::new(self.generations),
            contents,
            used: self.uses,
        }
    }

    fn file_mut(&mut self, name: &str) -> Option<&mut CacheFile> {
        self.entries.get_mut(name)?.file.as_mut()
    }

    fn touch(&mut self, name: &str) {
        self.uses += 1;
        let uses = self.uses;
        if let Some(file) = self.file_mut(name) {
            file.used = uses;
        }
    }
}
