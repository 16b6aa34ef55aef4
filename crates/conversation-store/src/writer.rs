//! The one writer: a thread that owns the connection that writes, fed by a bounded queue.
//!
//! It runs all queued commands as one transaction, commits, and only then wakes the readers and sends the replies. A
//! command that is refused doesn't affect the others. When SQLite fails, the batch is rolled back and its commands are
//! run one by one, so that only those fail that can't be stored.

mod append;
mod batch;
mod begin;
mod delete;
mod end;
mod events;
mod flush;
mod head;
mod import;
mod publish;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use tokio::sync::{
    mpsc::{self, error::TryRecvError},
    oneshot,
};

use crate::{
    StoreError, TurnKey,
    error::Result,
    tail::Subscriptions,
    wal::{Effect, FastPathGuard, ObsoleteSegment, Wal},
};

pub(crate) use batch::Batch;
pub(crate) use delete::Delete;
pub(crate) use flush::Flush;
pub(crate) use head::SetHead;
pub(crate) use import::{AbortImport, BeginImport, FinishImport, ImportRecords};

use batch::AfterCommit;

/// Commands in the queue: several for each of hundreds of running turns. Senders wait while it is full.
const QUEUE: usize = 1_024;

/// Commands in one transaction: enough to share an fsync, few enough that no sender waits for long.
const MAX_BATCH: usize = 512;

/// The most bytes of one command: twice what a message, an agent's file and their JSON escapes take.
const MAX_COMMAND_BYTES: usize = 8 << 20;

/// A command of the store. It checks before it writes, so that a refused command leaves nothing behind.
pub(crate) trait Apply: Send + 'static {
    /// What its sender receives once it is committed.
    type Output: Send + 'static;

    /// Runs the command in the batch's transaction.
    fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Output>;

    /// Returns true if the command must survive a power cut once it is acknowledged.
    fn is_durable(&self) -> bool;

    /// Returns the conversation that it changes. Its memtable is flushed first, in the same transaction.
    fn conversation(&self) -> Option<&str> {
        None
    }

    /// Returns true if the command fills a transaction by itself: no more are added after it.
    fn is_large(&self) -> bool {
        false
    }

    /// Returns the turn that it appends to: once an append has failed, the turn's later ones are refused, as its answer
    /// would have a gap.
    fn appends_to(&self) -> Option<TurnKey> {
        None
    }
}

/// The queue to the writer's thread. Dropping it lets the thread finish the queued commands, and waits for that.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    wal: Wal,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(connection: Connection, subscriptions: Subscriptions, wal: Wal) -> Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let for_loop = wal.clone();
        let thread = thread::Builder::new()
            .name("conversation-store".into())
            .spawn(move || {
                WriterThread {
                    connection,
                    subscriptions,
                    wal: for_loop,
                    failed_turns: HashSet::new(),
                    durable: None,
                }
                .run(jobs)
            })
            .map_err(|source| StoreError::StartWriter {
                source: Arc::new(source),
            })?;
        Ok(Self {
            queue: Some(queue),
            wal,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Queues a command whose outcome is not waited for, unless the queue is full.
    pub(crate) fn try_enqueue<C: Apply>(&self, command: C) {
        let job = self.job(command, oneshot::channel().0);
        if let Some(queue) = &self.queue
            && queue.try_send(job).is_err()
        {
            tracing::debug!("the queue is full, and a command that may wait was left out");
        }
    }

    /// Queues a command. The receiver gets its outcome once it is committed or refused.
    pub(crate) async fn enqueue<C: Apply>(&self, command: C) -> Result<oneshot::Receiver<Result<C::Output>>> {
        let (reply, answer) = oneshot::channel();
        let job = self.job(command, reply);
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        queue.send(job).await.map_err(|_| StoreError::Closed)?;
        Ok(answer)
    }

    fn job<C: Apply>(&self, command: C, reply: oneshot::Sender<Result<C::Output>>) -> Box<Queued<C>> {
        let fast_path = command
            .conversation()
            .map(|conversation| self.wal.close_fast_path(conversation));
        Box::new(Queued {
            command,
            outcome: None,
            fast_path,
            reply,
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the conversation store's writer thread had panicked");
        }
    }
}

/// A queued command of any type.
trait Job: Send {
    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<()>;
    fn is_durable(&self) -> bool;
    fn conversation(&self) -> Option<&str>;
    fn is_large(&self) -> bool;
    fn appends_to(&self) -> Option<TurnKey>;
    /// Sends the reply: the command's own outcome, or the failure of its whole transaction.
    fn reply_with(self: Box<Self>, failure: Option<StoreError>);
}

struct Queued<C: Apply> {
    command: C,
    outcome: Option<Result<C::Output>>,
    fast_path: Option<FastPathGuard>,
    reply: oneshot::Sender<Result<C::Output>>,
}

impl<C: Apply> Job for Queued<C> {
    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        match self.command.apply(batch) {
            Err(error) if error.is_failure() => Err(error),
            outcome => {
                self.outcome = Some(outcome);
                Ok(())
            }
        }
    }

    fn is_durable(&self) -> bool {
        self.command.is_durable()
    }

    fn conversation(&self) -> Option<&str> {
        self.command.conversation()
    }

    fn is_large(&self) -> bool {
        self.command.is_large()
    }

    fn appends_to(&self) -> Option<TurnKey> {
        self.command.appends_to()
    }

    fn reply_with(self: Box<Self>, failure: Option<StoreError>) {
        let outcome = match failure {
            Some(failure) => Err(failure),
            None => self.outcome.unwrap_or(Err(StoreError::Closed)),
        };
        drop(self.fast_path);
        // The sender may have gone away; its command is stored all the same.
        let _ = self.reply.send(outcome);
    }
}

/// What the writer's thread owns.
struct WriterThread {
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
    fn run(mut self, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
        // A crash may have left rows of a deleted conversation.
        let mut removal_pending = true;
        loop {
            let first = if removal_pending {
                match jobs.try_recv() {
                    Ok(job) => Some(job),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => break,
                }
            } else {
                match jobs.blocking_recv() {
                    Some(job) => Some(job),
                    None => break,
                }
            };
            if let Some(first) = first {
                let mut is_full = first.is_large();
                let mut batch = vec![first];
                while !is_full && let Ok(job) = jobs.try_recv() {
                    is_full = job.is_large() || batch.len() + 1 >= MAX_BATCH;
                    batch.push(job);
                }
                removal_pending |= self.run_batch(batch);
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
            let flush: Box<dyn Job> = Box::new(Queued {
                command: Flush { conversations },
                outcome: None,
                fast_path: None,
                reply: oneshot::channel().0,
            });
            self.run_batch(vec![flush]);
        }
        self.wal.close().into_iter().for_each(ObsoleteSegment::remove);
        self.subscriptions.close();
    }

    /// Runs jobs as one transaction, or one by one if that fails. Returns true if there are rows to be removed.
    fn run_batch(&mut self, mut jobs: Vec<Box<dyn Job>>) -> bool {
        match self.transact(&mut jobs) {
            Ok(after) => {
                self.wal
                    .apply(after.effects)
                    .into_iter()
                    .for_each(ObsoleteSegment::remove);
                for (conversation, growth) in after.growths {
                    self.subscriptions.notify(&conversation, growth);
                }
                for job in jobs {
                    job.reply_with(None);
                }
                after.removal_pending
            }
            Err(failure) if jobs.len() == 1 || is_locked(&failure) => {
                tracing::error!(
                    error = &failure as &dyn std::error::Error,
                    jobs = jobs.len(),
                    "a write has failed"
                );
                for job in jobs {
                    if let Some(turn) = job.appends_to() {
                        self.failed_turns.insert(turn);
                        self.leave_fast_path(job.conversation(), turn);
                    }
                    job.reply_with(Some(failure.clone()));
                }
                false
            }
            Err(_) => jobs
                .into_iter()
                .fold(false, |pending, job| self.run_batch(vec![job]) | pending),
        }
    }

    /// Sends a failed turn's later appends to the writer, which refuses them.
    fn leave_fast_path(&self, conversation: Option<&str>, turn: TurnKey) {
        if let Some(conversation) = conversation {
            let conversation = conversation.to_owned();
            let effects = vec![Effect::TurnLeavesFastPath { conversation, turn }];
            self.wal.apply(effects).into_iter().for_each(ObsoleteSegment::remove);
        }
    }

    /// Runs jobs in one transaction and commits it. After an error none of them has changed anything.
    fn transact(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<AfterCommit> {
        let writing = || StoreError::writing("to the conversation database");
        let durable = jobs.iter().any(|job| job.is_durable());
        if self.durable != Some(durable) {
            // SQLite accepts the level only between transactions.
            let level = if durable { "full" } else { "normal" };
            self.connection
                .pragma_update(None, "synchronous", level)
                .map_err(writing())?;
            self.durable = Some(durable);
        }
        let before = self.failed_turns.clone();
        let mut batch = Batch::begin(&mut self.connection, &mut self.failed_turns, &self.wal)?;
        let applied = jobs.iter_mut().try_for_each(|job| {
            if let Some(conversation) = job.conversation() {
                batch.flush(conversation)?;
            }
            job.apply(&mut batch)
        });
        let committed = applied.and_then(|()| batch.commit());
        if committed.is_err() {
            self.failed_turns = before;
        }
        committed
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

/// Returns true if another process holds the database: each retry would wait for it again.
fn is_locked(error: &StoreError) -> bool {
    matches!(error, StoreError::Write { source, .. } | StoreError::Read { source, .. }
        if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy))
}
