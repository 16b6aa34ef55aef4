//! The thread that writes files, and removes those for which the budget has no room.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::file;
use super::state::{FileGeneration, Job, Shared};

/// Writes until nothing more will come. Files that nobody can use go before the first one is written.
pub(super) fn work(shared: &Shared, folder: &Path, mut useless: Vec<PathBuf>) {
    let mut is_failing = false;
    while let Some((job, life)) = shared.next() {
        useless.drain(..).for_each(|path| file::remove(&path));
        match write(shared, &job, life) {
            Ok(()) => is_failing = false,
            Err(error) => {
                // Once, and not for every turn until there is room again. A file that was forgotten meanwhile is no news.
                if give_up(shared, &job, life) && !is_failing {
                    is_failing = true;
                    tracing::warn!(folder = %folder.display(), %error, "caches can't be written to disk; turns go on without");
                }
            }
        }
        shared.done(&job, life);
        keep_budget(shared, folder);
    }
}

fn write(shared: &Shared, job: &Job, life: FileGeneration) -> io::Result<()> {
    if job.end > 0 {
        return file::append(&job.path, job.end, &job.frames);
    }
    let new = file::write_new(&job.path, &job.frames)?;
    let state = shared.lock();
    let renamed = if state.is_wanted(job, life) {
        fs::rename(&new, &job.path)
    } else {
        Ok(())
    };
    // As far as it is still there.
    file::remove(&new);
    renamed
}

/// Drops a file that has not become what it should be: it is written anew after its conversation's next turn. Whether it was still
/// wanted.
fn give_up(shared: &Shared, job: &Job, life: FileGeneration) -> bool {
    let mut state = shared.lock();
    let is_wanted = state.is_wanted(job, life);
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
