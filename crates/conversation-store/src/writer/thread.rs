//! The writer's thread: runs queued commands in batches, one transaction each.
//!
//! It takes all queued commands, runs them, commits, applies what the commit changes in memory, and only then wakes the
//! readers and sends the replies. A command that is refused doesn't affect the others. When SQLite fails, the batch is
//! rolled back and its commands are run one by one, so that only those fail that can't be stored.

use std::collections::HashSet;

use rusqlite::Connection;
use tokio::sync::mpsc::{Receiver, error::TryRecvError};

use super::{Batch, Command, Flush, Reply, batch::AfterCommit, delete};
use crate::{
    StoreError, TurnKey,
    error::Result,
    tail::Subscriptions,
    wal::{Effect, FastPathGuard, ObsoleteSegment, Wal},
};

/// Commands in one transaction: enough to share an fsync, few enough that no sender waits for long.
const MAX_BATCH: usize = 512;

/// A command in the queue.
pub(super) struct QueuedCommand {
    pub(super) command: Command,
    /// Keeps the conversation's fast path closed until the command is committed or refused.
    pub(super) fast_path: Option<FastPathGuard>,
}

/// What the writer's thread owns.
pub(super) struct WriterThread {
    connection: Connection,
    subscriptions: Subscriptions,
    wal: Wal,
    /// Turns of which an append has failed. Later appends are refused until the turn ends: they would leave a gap in
    /// its answer.
    failed_turns: HashSet<TurnKey>,
    /// Whether the connection syncs each commit (`synchronous=FULL`); unknown before the first transaction.
    durable: Option<bool>,
}

impl WriterThread {
    pub(super) fn new(connection: Connection, subscriptions: Subscriptions, wal: Wal) -> Self {
        Self {
            connection,
            subscriptions,
            wal,
            failed_turns: HashSet::new(),
            durable: None,
        }
    }

    /// Runs commands until the queue is closed and empty. While it is empty, removes rows of deleted conversations.
    pub(super) fn run(mut self, mut queue: Receiver<QueuedCommand>) {
        // A crash may have left rows of a deleted conversation.
        let mut removal_pending = true;
        loop {
            let first = if removal_pending {
                match queue.try_recv() {
                    Ok(command) => Some(command),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => break,
                }
            } else {
                match queue.blocking_recv() {
                    Some(command) => Some(command),
                    None => break,
                }
            };
            if let Some(first) = first {
                removal_pending |= self.run_batch(fill_batch(first, &mut queue));
            }
            if removal_pending {
                removal_pending = self.remove_some();
            }
        }
        self.close();
    }

    /// Flushes every memtable. What can't be written stays in the segments, for the next start.
    fn close(mut self) {
        for conversations in self.wal.flush_groups() {
            self.run_batch(vec![QueuedCommand {
                command: Command::Flush(Flush { conversations }, Reply::detached()),
                fast_path: None,
            }]);
        }
        self.wal.close().into_iter().for_each(ObsoleteSegment::remove);
        self.subscriptions.close();
    }

    /// Runs commands as one transaction, or one by one if that fails. Returns true if there are rows to be removed.
    fn run_batch(&mut self, mut commands: Vec<QueuedCommand>) -> bool {
        match self.transact(&mut commands) {
            Ok(after) => {
                self.apply(after.effects);
                for (conversation, growth) in after.growths {
                    self.subscriptions.notify(&conversation, growth);
                }
                for command in commands {
                    command.reply(None);
                }
                after.removal_pending
            }
            Err(failure) if commands.len() == 1 || is_locked(&failure) => {
                self.fail(commands, &failure);
                false
            }
            Err(_) => commands
                .into_iter()
                .fold(false, |pending, command| self.run_batch(vec![command]) | pending),
        }
    }

    /// Replies with the failure. Turns whose appends have failed take no more.
    fn fail(&mut self, commands: Vec<QueuedCommand>, failure: &StoreError) {
        tracing::error!(
            error = failure as &dyn std::error::Error,
            jobs = commands.len(),
            "a write has failed"
        );
        for queued in commands {
            if let Some(turn) = queued.command.appends_to() {
                self.failed_turns.insert(turn);
                self.leave_fast_path(queued.command.conversation(), turn);
            }
            queued.reply(Some(failure.clone()));
        }
    }

    /// Sends a failed turn's later appends to the writer, which refuses them.
    fn leave_fast_path(&self, conversation: Option<&str>, turn: TurnKey) {
        if let Some(conversation) = conversation {
            let conversation = conversation.to_owned();
            self.apply(vec![Effect::TurnLeavesFastPath { conversation, turn }]);
        }
    }

    /// Applies effects to the write-ahead log, and removes the segments that become obsolete.
    fn apply(&self, effects: Vec<Effect>) {
        self.wal.apply(effects).into_iter().for_each(ObsoleteSegment::remove);
    }

    /// Runs commands in one transaction and commits it. After an error none of them has changed anything.
    fn transact(&mut self, commands: &mut [QueuedCommand]) -> Result<AfterCommit> {
        self.set_durable(commands.iter().any(|queued| queued.command.is_durable()))?;
        let before = self.failed_turns.clone();
        let mut batch = Batch::begin(&mut self.connection, &mut self.failed_turns, &self.wal)?;
        let run = commands.iter_mut().try_for_each(|queued| {
            if let Some(conversation) = queued.command.conversation() {
                batch.flush(conversation)?;
            }
            queued.command.run(&mut batch)
        });
        let committed = run.and_then(|()| batch.commit());
        if committed.is_err() {
            self.failed_turns = before;
        }
        committed
    }

    /// Has the next transaction synced or not. SQLite accepts the level only between transactions.
    fn set_durable(&mut self, durable: bool) -> Result<()> {
        if self.durable != Some(durable) {
            let level = if durable { "full" } else { "normal" };
            self.connection
                .pragma_update(None, "synchronous", level)
                .map_err(StoreError::writing("to the conversation database"))?;
            self.durable = Some(durable);
        }
        Ok(())
    }

    /// Removes some rows of a deleted conversation. Returns true if there may be more.
    fn remove_some(&mut self) -> bool {
        delete::remove_some(&mut self.connection).unwrap_or_else(|error| {
            // The conversation is deleted already; the next deletion or start continues with its rows.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot remove a deleted conversation's rows"
            );
            false
        })
    }
}

impl QueuedCommand {
    /// Opens the fast path again, then sends the reply.
    fn reply(self, failure: Option<StoreError>) {
        drop(self.fast_path);
        self.command.reply(failure);
    }
}

/// Adds the queued commands to the first one, as many as share a transaction.
fn fill_batch(first: QueuedCommand, queue: &mut Receiver<QueuedCommand>) -> Vec<QueuedCommand> {
    let mut is_full = first.command.is_large();
    let mut batch = vec![first];
    while !is_full && let Ok(next) = queue.try_recv() {
        is_full = next.command.is_large() || batch.len() + 1 >= MAX_BATCH;
        batch.push(next);
    }
    batch
}

/// Returns true if another process holds the database: each retry would wait for it again.
fn is_locked(error: &StoreError) -> bool {
    matches!(error, StoreError::Write { source, .. } | StoreError::Read { source, .. }
        if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy))
}
