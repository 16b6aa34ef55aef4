//! The thread that writes the files, and removes those that exceed the budget.

use std::io;
use std::path::PathBuf;

use super::file;
use super::folder::Folder;
use super::queue::{WriteJob, WriteQueue};

/// Writes until the queue is closed and empty. The `unusable` files are removed before the first write.
pub(super) fn run(queue: &WriteQueue, folder: &Folder, budget_bytes: u64, mut unusable: Vec<PathBuf>) {
    let mut is_failing = false;
    while let Some(job) = queue.next() {
        if folder.is_wanted(&job) {
            unusable.drain(..).for_each(|path| file::remove(&path));
            match write(folder, &job) {
                Ok(()) => is_failing = false,
                // A file that could not be written is removed; a new one is begun after its conversation's next turn.
                Err(error) => {
                    let was_wanted = folder.remove(&job.conversation, job.generation);
                    // Once, and not for every turn until there is room again.
                    if was_wanted && !is_failing {
                        is_failing = true;
                        warn_of(&error, folder);
                    }
                }
            }
        }
        queue.finish(&job);
        folder.keep_within(budget_bytes);
    }
}

fn write(folder: &Folder, job: &WriteJob) -> io::Result<()> {
    let path = folder.file(&job.conversation);
    if job.offset > 0 {
        return file::append(&path, job.offset, &job.frames);
    }
    let new = file::write_new(&path, &job.frames)?;
    folder.publish(&new, job)
}

fn warn_of(error: &io::Error, folder: &Folder) {
    let folder = folder.path().display();
    tracing::warn!(%folder, %error, "caches can't be written to disk; turns go on without");
}
