//! The one writer: a thread that owns the connection that writes, fed by a bounded queue.
//!
//! It takes whatever is queued, runs it as one transaction, commits, and only then wakes the readers and
//! answers the waiters. A command that is refused harms no other; when SQLite fails, the batch is undone and its
//! commands are tried one by one, so that only those fail that can't be stored.

mod append;
mod batch;
mod begin;
mod delete;
mod end;
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
    live::{Live, Retired, Step, Ticket},
    tail::Tails,
};

pub(crate) use batch::Batch;
pub(crate) use delete::Delete;
pub(crate) use flush::Flush;
pub(crate) use head::SetHead;
pub(crate) use import::{AbortImport, BeginImport, FinishImport, ImportRecords};

use batch::Woken;

/// Commands that wait for the writer: some for every one of hundreds of live turns; past it, senders wait.
const QUEUE: usize = 1_024;

/// Commands in one transaction: enough to share an fsync, few enough that no waiter waits for long.
const MAX_BATCH: usize = 512;

/// The most bytes that one command may carry: a message, an agent's file and its JSON escapes fit twice over.
const MAX_COMMAND_BYTES: usize = 8 << 20;

/// A command of the store. It checks before it writes, so that a refused one leaves nothing behind.
pub(crate) trait Apply: Send + 'static {
    /// What its sender gets once it is committed.
    type Output: Send + 'static;

    /// Writes it in the batch's transaction.
    fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Output>;

    /// Says whether a power cut may not undo it.
    fn is_durable(&self) -> bool;

    /// Names the conversation that it is about. What is held of that is flushed before, in the same transaction.
    fn conversation(&self) -> Option<&str> {
        None
    }

    /// Says whether it is a transaction's worth by itself, that others shouldn't wait behind for more.
    fn is_large(&self) -> bool {
        false
    }

    /// Names the turn whose answer would have a hole if this failed and a later command didn't.
    fn leaves_hole_in(&self) -> Option<TurnKey> {
        None
    }
}

/// The queue to the writer's thread. Dropping it lets the thread finish what is queued, and waits for it.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    live: Live,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(connection: Connection, tails: Tails, live: Live) -> Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let for_loop = live.clone();
        let thread = thread::Builder::new()
            .name("conversation-store".into())
            .spawn(move || {
                Loop {
                    connection,
                    tails,
                    live: for_loop,
                    holes: HashSet::new(),
                    durable: None,
                }
                .run(jobs)
            })
            .map_err(|source| StoreError::StartWriter {
                source: Arc::new(source),
            })?;
        Ok(Self {
            queue: Some(queue),
            live,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Queues a command if there is room.
    pub(crate) fn try_enqueue<C: Apply>(&self, command: C) {
        let job = self.job(command, oneshot::channel().0);
        if let Some(queue) = &self.queue
            && queue.try_send(job).is_err()
        {
            tracing::debug!("the queue is full, and a command that may wait was left out");
        }
    }

    /// Queues a command; what comes back is told once it is committed or refused.
    pub(crate) async fn enqueue<C: Apply>(&self, command: C) -> Result<oneshot::Receiver<Result<C::Output>>> {
        let (reply, answer) = oneshot::channel();
        let job = self.job(command, reply);
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        queue.send(job).await.map_err(|_| StoreError::Closed)?;
        Ok(answer)
    }

    fn job<C: Apply>(&self, command: C, reply: oneshot::Sender<Result<C::Output>>) -> Box<Queued<C>> {
        let ticket = command
            .conversation()
            .map(|conversation| self.live.ticket(conversation));
        Box::new(Queued {
            command,
            outcome: None,
            ticket,
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

/// A queued command with its type hidden.
trait Job: Send {
    fn apply(&mut self, batch: &mut Batch<'_>) -> Result<()>;
    fn is_durable(&self) -> bool;
    fn conversation(&self) -> Option<&str>;
    fn is_large(&self) -> bool;
    fn leaves_hole_in(&self) -> Option<TurnKey>;
    /// Tells the sender what became of it: its own outcome, or the failure of its whole transaction.
    fn settle(self: Box<Self>, failure: Option<StoreError>);
}

struct Queued<C: Apply> {
    command: C,
    outcome: Option<Result<C::Output>>,
    ticket: Option<Ticket>,
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

    fn leaves_hole_in(&self) -> Option<TurnKey> {
        self.command.leaves_hole_in()
    }

    fn settle(self: Box<Self>, failure: Option<StoreError>) {
        let outcome = match failure {
            Some(failure) => Err(failure),
            None => self.outcome.unwrap_or(Err(StoreError::Closed)),
        };
        drop(self.ticket);
        // A sender that has gone away doesn't need the answer; what it sent is stored all the same.
        let _ = self.reply.send(outcome);
    }
}

/// What the thread owns.
struct Loop {
    connection: Connection,
    tails: Tails,
    live: Live,
    /// Turns of which an append has failed: a later one would leave a hole in the answer.
    holes: HashSet<TurnKey>,
    /// How the connection syncs now; unknown before the first transaction.
    durable: Option<bool>,
}

impl Loop {
    fn run(mut self, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
        // A crash may have left a deletion half done.
        let mut removing = true;
        loop {
            let first = if removing {
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
                removing |= self.run_batch(batch);
            }
            if removing {
                removing = self.remove_some();
            }
        }
        self.close();
    }

    /// Moves what is held to the database. What doesn't fit stays in the journal, for the next start.
    fn close(mut self) {
        for conversations in self.live.groups() {
            let flush: Box<dyn Job> = Box::new(Queued {
                command: Flush { conversations },
                outcome: None,
                ticket: None,
                reply: oneshot::channel().0,
            });
            self.run_batch(vec![flush]);
        }
        self.live.close().into_iter().for_each(Retired::remove);
        self.tails.close();
    }

    /// Runs jobs as one transaction, or one by one if that fails; says whether something was deleted.
    fn run_batch(&mut self, mut jobs: Vec<Box<dyn Job>>) -> bool {
        match self.transact(&mut jobs) {
            Ok(woken) => {
                self.live.committed(woken.steps).into_iter().for_each(Retired::remove);
                for (conversation, growth) in woken.conversations {
                    self.tails.wake(&conversation, growth);
                }
                for job in jobs {
                    job.settle(None);
                }
                woken.deleted
            }
            Err(failure) if jobs.len() == 1 || is_locked(&failure) => {
                tracing::error!(
                    error = &failure as &dyn std::error::Error,
                    jobs = jobs.len(),
                    "a write has failed"
                );
                for job in jobs {
                    if let Some(turn) = job.leaves_hole_in() {
                        self.holes.insert(turn);
                        self.stop_short_way(job.conversation(), turn);
                    }
                    job.settle(Some(failure.clone()));
                }
                false
            }
            Err(_) => jobs
                .into_iter()
                .fold(false, |deleted, job| self.run_batch(vec![job]) | deleted),
        }
    }

    /// Whatever else is appended to a turn with a hole is refused, and that is for the writer to say.
    fn stop_short_way(&self, conversation: Option<&str>, turn: TurnKey) {
        if let Some(conversation) = conversation {
            let conversation = conversation.to_owned();
            let stops = vec![Step::Stops { conversation, turn }];
            self.live.committed(stops).into_iter().for_each(Retired::remove);
        }
    }

    /// Runs jobs in one transaction and commits it. After an error nothing of it is there.
    fn transact(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Woken> {
        let writing = || StoreError::writing("to the conversation database");
        let durable = jobs.iter().any(|job| job.is_durable());
        if self.durable != Some(durable) {
            // SQLite takes the level only between transactions.
            let level = if durable { "full" } else { "normal" };
            self.connection
                .pragma_update(None, "synchronous", level)
                .map_err(writing())?;
            self.durable = Some(durable);
        }
        let before = self.holes.clone();
        let mut batch = Batch::begin(&mut self.connection, &mut self.holes, &self.live)?;
        let applied = jobs.iter_mut().try_for_each(|job| {
            if let Some(conversation) = job.conversation() {
                batch.flush(conversation)?;
            }
            job.apply(&mut batch)
        });
        let committed = applied.and_then(|()| batch.commit());
        if committed.is_err() {
            self.holes = before;
        }
        committed
    }

    /// Removes some rows of a deleted conversation; says whether there may be more.
    fn remove_some(&mut self) -> bool {
        delete::remove_some(&mut self.connection).unwrap_or_else(|error| {
            // The conversation is deleted already; the next deletion or start goes on with its rows.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot remove a deleted conversation's rows"
            );
            false
        })
    }
}

/// Another process holds the database; each retry would wait for it again.
fn is_locked(error: &StoreError) -> bool {
    matches!(error, StoreError::Write { source, .. } | StoreError::Read { source, .. }
        if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy))
}
