//! The one writer: a thread that owns the connection that writes, fed by a bounded queue.
//!
//! In go [`Command`]s, each with its reply; out come replies, once a command is committed or refused. What the commands
//! do to the database is in the files below, one for each kind; nothing else writes to it.

mod append;
mod batch;
mod begin;
mod command;
mod delete;
mod end;
mod events;
mod flush;
mod head;
mod import;
mod publish;
mod thread;

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::{Builder, JoinHandle},
};

use rusqlite::Connection;
use tokio::sync::mpsc;

use crate::{StoreError, error::Result, tail::Subscriptions, wal::Wal};

pub(crate) use command::{Command, Reply};
pub(crate) use delete::Delete;
pub(crate) use flush::Flush;
pub(crate) use head::SetHead;
pub(crate) use import::{AbortImport, BeginImport, FinishImport, ImportRecords};

use batch::Batch;
use thread::{QueuedCommand, WriterThread};

/// Commands in the queue: several for each of hundreds of running turns. Senders wait while it is full.
const QUEUE: usize = 1_024;

/// The queue to the writer's thread. Dropping it lets the thread finish the queued commands, and waits for that.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Absent only while it is dropped.
    queue: Option<mpsc::Sender<QueuedCommand>>,
    wal: Wal,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(connection: Connection, subscriptions: Subscriptions, wal: Wal) -> Result<Self> {
        let (queue, queued) = mpsc::channel(QUEUE);
        let writer = WriterThread::new(connection, subscriptions, wal.clone());
        let thread = Builder::new()
            .name("conversation-store".into())
            .spawn(move || writer.run(queued))
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
    pub(crate) fn try_enqueue(&self, command: Command) {
        if let Some(queue) = &self.queue
            && queue.try_send(self.queued(command)).is_err()
        {
            tracing::debug!("the queue is full, and a command that may wait was left out");
        }
    }

    /// Queues a command, and waits while the queue is full.
    pub(crate) async fn enqueue(&self, command: Command) -> Result<()> {
        let queued = self.queued(command);
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        queue.send(queued).await.map_err(|_| StoreError::Closed)
    }

    fn queued(&self, command: Command) -> QueuedCommand {
        let conversation = command.conversation();
        let fast_path = conversation.map(|conversation| self.wal.close_fast_path(conversation));
        QueuedCommand { command, fast_path }
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
