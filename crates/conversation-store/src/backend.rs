//! The parts of an open store, and how a command or a query passes through them.
//!
//! In go commands and queries; a command takes the fast path of the write-ahead log or goes to the writer's thread, a
//! query runs on a read connection and gets the memtables that it has to be merged with. It contains no query and no
//! command itself.

use std::path::Path;

use rusqlite::Connection;

use crate::{
    AppendEvents, StoreError, Tail,
    error::Result,
    readers::Readers,
    receipt::Receipt,
    schema::Database,
    tail::Subscriptions,
    unflushed::MemtableSnapshot,
    wal::Wal,
    writer::{Command, Flush, Reply, Writer},
};

/// The parts of an open store.
#[derive(Debug)]
pub(crate) struct Backend {
    /// Dropped first: the last connection to close removes SQLite's WAL, and only the writer's may write.
    readers: Readers,
    writer: Writer,
    subscriptions: Subscriptions,
    wal: Wal,
}

impl Backend {
    /// Opens a data folder, and requests flushes of what ended processes have left in their write-ahead logs.
    pub(crate) fn open(data_dir: &Path, pragmas: &str) -> Result<Self> {
        let database = Database::create(data_dir)?;
        let connection = database.open_writer(pragmas)?;
        let readers = Readers::new(database);
        let subscriptions = Subscriptions::default();
        let wal = Wal::recover(data_dir, &connection, subscriptions.clone())?;
        let writer = Writer::start(connection, subscriptions.clone(), wal.clone())?;
        let backend = Self {
            readers,
            writer,
            subscriptions,
            wal,
        };
        backend.request_flushes(backend.wal.flush_groups());
        Ok(backend)
    }

    /// Commits an append on the fast path, or else queues it to the writer.
    pub(crate) async fn append(&self, append: AppendEvents) -> Result<Receipt> {
        let mut appended = self.wal.append(&append);
        if appended.is_none() {
            self.wal.wait_for_fast_path(&append).await;
            appended = self.wal.append(&append);
        }
        if let Some(appended) = appended {
            self.request_flushes(appended.flush);
            return Ok(Receipt::committed(appended.seqs));
        }
        let (reply, receiver) = Reply::channel();
        self.writer.enqueue(Command::Append(append, reply)).await?;
        Ok(Receipt::queued(receiver))
    }

    /// Runs the command that `command` makes with its reply, and returns its outcome once it is committed.
    pub(crate) async fn run<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T> {
        let (reply, receiver) = Reply::channel();
        self.writer.enqueue(command(reply)).await?;
        receiver.await.map_err(|_| StoreError::Closed)?
    }

    /// Queues a command without waiting for its outcome, unless the queue is full.
    pub(crate) fn run_detached(&self, command: impl FnOnce(Reply<()>) -> Command) {
        self.writer.try_enqueue(command(Reply::detached()));
    }

    fn request_flushes(&self, groups: Vec<Vec<String>>) {
        for conversations in groups {
            self.run_detached(|reply| Command::Flush(Flush { conversations }, reply));
        }
    }

    /// Runs a query of the database alone. Errors are reported as a failed read of `what`.
    pub(crate) async fn read<T, Q>(&self, what: &'static str, query: Q) -> Result<T>
    where
        T: Send + 'static,
        Q: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        self.readers.read(what, query).await
    }

    /// Runs a query of one conversation, which gets its memtable as well and then its id.
    pub(crate) async fn read_conversation<T, Q>(&self, what: &'static str, id: &str, query: Q) -> Result<T>
    where
        T: Send + 'static,
        Q: FnOnce(&Connection, &MemtableSnapshot, &str) -> Result<T> + Send + 'static,
    {
        let (wal, id) = (self.wal.clone(), id.to_owned());
        // The memtable first, then the database: what is flushed in between is in both, and is recognised by its
        // number.
        let merged = move |db: &Connection| query(db, &wal.snapshot(&id), &id);
        self.readers.read(what, merged).await
    }

    /// Runs a query of all conversations, which gets all memtables as well.
    pub(crate) async fn read_all<T, Q>(&self, what: &'static str, query: Q) -> Result<T>
    where
        T: Send + 'static,
        Q: FnOnce(&Connection, &MemtableSnapshot) -> Result<T> + Send + 'static,
    {
        let wal = self.wal.clone();
        self.readers.read(what, move |db| query(db, &wal.snapshot_all())).await
    }

    /// Subscribes to a conversation's log.
    pub(crate) fn subscribe(&self, conversation: &str) -> Tail {
        self.subscriptions.subscribe(conversation)
    }
}
