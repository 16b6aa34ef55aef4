//! The thread that writes the files, and removes those that exceed the budget.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::file;
use super::state::{Shared, WriteJob};
use crate::file_generation::FileGeneration;

/// Writes until the store is closed and the queue is empty. The `unusable` files are removed before the first write.
pub(super) fn run(shared: &Shared, folder: &Path, mut unusable: Vec<PathBuf>) {
    let mut is_failing = false;
    while let Some((job, generation)) = shared.next() {
        unusable.drain(..).for_each(|path| file::remove(&path));
        match write(shared, &job, generation) {
            Ok(()) => is_failing = false,
            Err(error) => {
                // Once, and not for every turn until there is room again. A file that was forgotten meanwhile is not
                // worth a warning.
                if give_up(shared, &job, generation) && !is_failing {
                    is_failing = true;
                    tracing::warn!(folder = %folder.display(), %error, "caches can't be written to disk; turns go on without");
                }
            }
        }
        shared.finish(&job, generation);
        keep_budget(shared, folder);
    }
}

fn write(shared: &Shared, job: &WriteJob, generation: FileGeneration) -> io::Result<()> {
    if job.offset > 0 {
        return file::append(&job.path, job.offset, &job.frames);
    }
    let new = file::write_new(&job.path, &job.frames)?;
    let state = shared.lock();
    let renamed = if state.is_wanted(job, generation) {
        fs::rename(&new, &job.path)
    } else {
        Ok(())
    };
    // If it wasn't renamed, it is still there.
    file::remove(&new);
    renamed
}

/// Removes a file that could not be written; a new one is begun after its conversation's next turn. Returns true if it
/// was still wanted.
fn give_up(shared: &Shared, job: &WriteJob, generation: FileGeneration) -> bool {
    let mut state = shared.lock();
    let is_wanted = state.is_wanted(job, generation);
    if is_wanted {
        state.entries.remove(&job.conversation);
        state.pruned.push(job.conversation.clone());
        file::remove(&job.path);
    }
    is_wanted
}

fn keep_budget(shared: &Shared, folder: &Path) {
    let mut state = shared.lock();
    while let Some(conversation) = state.take_beyond_budget() {
        file::remove(&file::path(folder, &conversation));
    }
}
