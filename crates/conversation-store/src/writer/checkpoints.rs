//! Moves the write-ahead log into the database file, beside the writer, so that no token waits for it.
//!
//! SQLite by itself does it within the commit that makes the log 4 MB long: tens of milliseconds, several times a second when hundreds
//! of turns run. This thread copies what was committed before (`PASSIVE`, which waits for nobody); the writer's own checkpoint at a much
//! longer log then finds nearly nothing to do, and only lets the log begin anew.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

/// Commits between two checkpoints: a log of a few megabytes when every commit has a handful of pages, as in SQLite's own default.
const COMMITS: u32 = 256;

/// The thread that checkpoints. Dropping it waits for the checkpoint that runs.
#[derive(Debug)]
pub(super) struct Checkpoints {
    bell: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    commits: u32,
}

impl Checkpoints {
    /// Starts the thread on a connection of its own.
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        // One ring says it all: a second one while a checkpoint runs is for the next.
        let (bell, rings) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("checkpoints".into())
            .spawn(move || run(&connection, &rings))?;
        Ok(Self {
            bell: Some(bell),
            thread: Some(thread),
            commits: 0,
        })
    }

    /// Counts a commit; now and then a checkpoint follows.
    pub(super) fn committed(&mut self) {
        self.commits += 1;
        if self.commits < COMMITS {
            return;
        }
        self.commits = 0;
        if let Some(bell) = &self.bell
            && let Err(TrySendError::Disconnected(())) = bell.try_send(())
        {
            tracing::error!("the thread that checkpoints is gone; the writer does it alone");
            self.bell = None;
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.bell = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that checkpoints had panicked");
        }
    }
}

fn run(connection: &Connection, rings: &Receiver<()>) {
    while rings.recv().is_ok() {
        // A disk that takes nothing is named by the commits that it refuses; here nothing is lost, and the log only stays longer.
        if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            tracing::debug!(error = &error as &dyn std::error::Error, "a checkpoint has failed");
        }
    }
}
