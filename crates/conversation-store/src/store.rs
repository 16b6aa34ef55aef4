//! The store's public interface: writes go to the writer thread, reads to a pool of read connections.

use std::{
    future::Future,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use crate::{
    AppendEvents, Begun, Conversation, EndTurn, Event, Export, Import, ImportChecks, ImportTo, NewTurn, Page,
    PathLimit, PathStart, Publish, Seqs, StoreError, Tail, Turn, TurnKey,
    error::Result,
    queries,
    readers::Readers,
    schema,
    tail::Subscriptions,
    wal::Wal,
    writer::{Apply, Delete, Flush, SetHead, Writer},
};

/// The conversations of a data folder. Clones share one store. Dropping the last one closes it, after the queued
/// commands are committed.
#[derive(Debug, Clone)]
pub struct ConversationStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Dropped first: the last connection to close removes SQLite's WAL, and only the writer's may write.
    readers: Readers,
    writer: Writer,
    subscriptions: Subscriptions,
    wal: Wal,
}

impl ConversationStore {
    /// Opens the store in `data_dir`, and creates the folder, the file and the tables if they are missing.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the file is not a database, [`StoreError::Migrate`] if it is one of a newer version.
    pub fn open(data_dir: &Path) -> Result<Self> {
        Self::open_tuned(data_dir, "")
    }

    /// Checks a data folder's database from end to end. Returns the damage, as SQLite describes it. It changes nothing,
    /// takes as long as reading the whole file, and may run beside an open store.
    ///
    /// # Errors
    /// There is no database, or it can't be read at all.
    pub fn find_damage(data_dir: &Path) -> Result<Vec<String>> {
        schema::Database::in_folder(data_dir).find_damage()
    }

    /// Opens the store with additional pragmas for the writer's connection: tests limit the file's size by them.
    pub(crate) fn open_tuned(data_dir: &Path, pragmas: &str) -> Result<Self> {
        let database = schema::Database::create(data_dir)?;
        let connection = database.open_writer(pragmas)?;
        let readers = Readers::new(database);
        let subscriptions = Subscriptions::default();
        let wal = Wal::recover(data_dir, &connection, subscriptions.clone())?;
        let writer = Writer::start(connection, subscriptions.clone(), wal.clone())?;
        let store = Self {
            inner: Arc::new(Inner {
                readers,
                writer,
                subscriptions,
                wal,
            }),
        };
        store.flush(store.inner.wal.flush_groups());
        Ok(store)
    }

    /// Begins a turn. The conversation, the turn and its `user` event are durable (`synchronous=FULL`) when it returns.
    ///
    /// The same `turn_id` with the same `body_hash` joins the existing turn.
    ///
    /// # Errors
    /// `DuplicateTurn`, `TurnNotFound` (the parent), `Gone`, `TooLarge`.
    pub async fn begin_turn(&self, turn: NewTurn) -> Result<Begun> {
        self.run(turn).await
    }

    /// Appends events to a running turn, and returns once they are committed (`synchronous=NORMAL`: they survive the
    /// process, and a power cut as far as the last durable command).
    ///
    /// # Errors
    /// `NotWritable` if the turn is over, `IllegalTransition` if it had started already, `Gone`, `TooLarge`.
    pub async fn append(&self, append: AppendEvents) -> Result<Seqs> {
        self.enqueue(append).await?.await
    }

    /// Commits an append on the fast path, or else queues it. Returns at once, or as soon as the conversation's earlier
    /// commands are committed. What one task enqueues keeps its order, also relative to its later [`Self::end_turn`],
    /// so a caller needn't wait for each commit.
    ///
    /// # Errors
    /// `Closed`; the receipt returns all others.
    pub async fn enqueue(&self, append: AppendEvents) -> Result<Receipt> {
        let wal = &self.inner.wal;
        let mut appended = wal.append(&append);
        if appended.is_none() {
            wal.wait_for_fast_path(&append).await;
            appended = wal.append(&append);
        }
        if let Some(appended) = appended {
            self.flush(appended.flush);
            return Ok(Receipt(ReceiptState::Committed(appended.seqs)));
        }
        let answer = self.inner.writer.enqueue(append).await?;
        Ok(Receipt(ReceiptState::Queued(answer)))
    }

    /// Appends events that no running turn writes, durable (`synchronous=FULL`) when it returns.
    ///
    /// # Errors
    /// `TurnNotFound`, `Gone`, `TooLarge`, `NoEvents`.
    pub async fn publish(&self, publish: Publish) -> Result<Seqs> {
        self.run(publish).await
    }

    /// Ends a turn with its one terminal event, durable (`synchronous=FULL`) when it returns. Returns the event's
    /// number.
    ///
    /// # Errors
    /// `IllegalTransition` if the turn is over already, `Gone`, `TooLarge`.
    pub async fn end_turn(&self, end: EndTurn) -> Result<u64> {
        self.run(end).await
    }

    /// Makes a turn the conversation's head, which switches the active path.
    ///
    /// # Errors
    /// `TurnNotFound`, `ConversationNotFound`, `Gone`.
    pub async fn set_head(&self, conversation: &str, turn_id: &str) -> Result<()> {
        self.run(SetHead {
            conversation: conversation.to_owned(),
            turn_id: turn_id.to_owned(),
        })
        .await
    }

    /// Deletes a conversation; its id stays taken, as [`StoreError::Gone`]. Its rows are removed afterwards in small
    /// transactions, so that a long conversation doesn't delay the turns of others.
    ///
    /// # Errors
    /// `ConversationNotFound`, `Gone` the second time.
    pub async fn delete(&self, conversation: &str) -> Result<()> {
        self.run(Delete {
            conversation: conversation.to_owned(),
        })
        .await
    }

    /// Subscribes to a conversation's log. To miss nothing, make the tail first, read [`Self::events`] to their end,
    /// then wait for [`Tail::changed`]. The conversation needn't exist yet.
    pub fn tail(&self, conversation: &str) -> Tail {
        self.inner.subscriptions.subscribe(conversation)
    }

    /// Reads events with `seq > after`, in order: at most `limit`, 1,000, or about 1 MiB of them. Only an empty result
    /// means that there are no more.
    ///
    /// # Errors
    /// `ConversationNotFound`, `Gone`.
    pub async fn events(&self, conversation: &str, after: u64, limit: usize) -> Result<Vec<Event>> {
        let (id, wal) = (conversation.to_owned(), self.inner.wal.clone());
        self.inner
            .readers
            .read("events", move |db| {
                // The memtable first, then the database: what is flushed in between is in both, and is recognised by
                // its number.
                let memtable = wal.snapshot(&id);
                queries::events(db, &memtable, &id, after, limit)
            })
            .await
    }

    /// Reads events as [`Self::events`] does, but without a query while the reader keeps up with a running turn. The
    /// tail must have been made before the reader got as far as `after`.
    ///
    /// # Errors
    /// As [`Self::events`].
    pub async fn followed(&self, tail: &Tail, after: u64, limit: usize) -> Result<Vec<Event>> {
        match tail.recent(after, limit) {
            Some(events) => Ok(events),
            None => self.events(tail.conversation(), after, limit).await,
        }
    }

    /// Reads a turn by its id.
    ///
    /// # Errors
    /// `Gone`; an unknown conversation or turn is `None`.
    pub async fn turn(&self, conversation: &str, turn_id: &str) -> Result<Option<Turn>> {
        let (id, turn_id) = (conversation.to_owned(), turn_id.to_owned());
        let wal = self.inner.wal.clone();
        self.inner
            .readers
            .read("a turn", move |db| {
                let memtable = wal.snapshot(&id);
                queries::turn(db, &memtable, &id, &turn_id)
            })
            .await
    }

    /// Reads the path from `start` towards the root, the newest turn first, up to `limit`: the cost doesn't depend on
    /// the conversation's length. An unknown or empty conversation has an empty path.
    ///
    /// # Errors
    /// `Gone`, `TurnNotFound` (the start).
    pub async fn path(&self, conversation: &str, start: PathStart, limit: PathLimit) -> Result<Vec<Turn>> {
        let (id, wal) = (conversation.to_owned(), self.inner.wal.clone());
        self.inner
            .readers
            .read("a path of turns", move |db| {
                let memtable = wal.snapshot(&id);
                queries::path(db, &memtable, &id, start, limit)
            })
            .await
    }

    /// Reads the tree's turns in the order in which they began, from the one after `after` (0: the first): at most
    /// `limit`, 200, or about 1 MiB of them. Only an empty result means that there are no more.
    ///
    /// # Errors
    /// `ConversationNotFound`, `Gone`.
    pub async fn turns(&self, conversation: &str, after: TurnKey, limit: usize) -> Result<Vec<Turn>> {
        let (id, wal) = (conversation.to_owned(), self.inner.wal.clone());
        self.inner
            .readers
            .read("turns", move |db| {
                let memtable = wal.snapshot(&id);
                queries::turns(db, &memtable, &id, after, limit)
            })
            .await
    }

    /// Reads the snapshot of the agent with that content hash, as JSON.
    ///
    /// # Errors
    /// Only if SQLite can't read.
    pub async fn agent_snapshot(&self, agent_hash: &str) -> Result<Option<String>> {
        let hash = agent_hash.to_owned();
        self.inner
            .readers
            .read("an agent snapshot", move |db| queries::agent_snapshot(db, &hash))
            .await
    }

    /// Reads one conversation; an unknown one is `None`.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn conversation(&self, id: &str) -> Result<Option<Conversation>> {
        let (id, wal) = (id.to_owned(), self.inner.wal.clone());
        self.inner
            .readers
            .read("a conversation", move |db| {
                let memtable = wal.snapshot(&id);
                let found = queries::conversation(db, &id)?;
                Ok(found.map(|conversation| conversation.merged_with(&memtable)))
            })
            .await
    }

    /// Lists conversations, the newest created first, at most `limit` or 200 a page.
    ///
    /// # Errors
    /// `InvalidCursor`.
    pub async fn list(&self, cursor: Option<&str>, limit: usize) -> Result<Page> {
        let (cursor, wal) = (cursor.map(str::to_owned), self.inner.wal.clone());
        self.inner
            .readers
            .read("conversations", move |db| {
                let memtable = wal.snapshot_all();
                let mut page = queries::list(db, cursor.as_deref(), limit)?;
                let found = page.conversations.into_iter();
                page.conversations = found.map(|conversation| conversation.merged_with(&memtable)).collect();
                Ok(page)
            })
            .await
    }

    /// Reads every turn that is pending or streaming: after a start, those that a crash interrupted.
    ///
    /// # Errors
    /// Only if SQLite can't read.
    pub async fn running(&self) -> Result<Vec<Turn>> {
        let wal = self.inner.wal.clone();
        self.inner
            .readers
            .read("running turns", move |db| queries::running(db, &wal.snapshot_all()))
            .await
    }

    /// Exports a conversation as JSON Lines, piece by piece: all that is needed to import it again, with its numbers
    /// and times.
    pub fn export(&self, conversation: &str) -> Export {
        Export::new(self.clone(), conversation.to_owned())
    }

    /// Imports a conversation line by line, as an export returns them. None of it is visible before its end.
    pub fn import(&self, to: ImportTo, checks: ImportChecks) -> Import {
        Import::new(self.clone(), to, checks)
    }

    pub(crate) async fn read_archive<T, Q>(&self, query: Q) -> Result<T>
    where
        T: Send + 'static,
        Q: FnOnce(&rusqlite::Transaction<'_>) -> Result<T> + Send + 'static,
    {
        self.inner.readers.read("an export", query).await
    }

    /// Queues a command without waiting for its outcome, unless the queue is full.
    pub(crate) fn run_detached<C: Apply>(&self, command: C) {
        self.inner.writer.try_enqueue(command);
    }

    /// Queues flushes of groups of conversations.
    fn flush(&self, groups: Vec<Vec<String>>) {
        for conversations in groups {
            self.run_detached(Flush { conversations });
        }
    }

    pub(crate) async fn run<C: Apply>(&self, command: C) -> Result<C::Output> {
        self.inner
            .writer
            .enqueue(command)
            .await?
            .await
            .map_err(|_| StoreError::Closed)?
    }
}

/// The pending commit of an append: resolves to its numbers, or to why nothing of it was stored.
#[derive(Debug)]
#[must_use = "an append may fail; only its receipt reports it"]
pub struct Receipt(ReceiptState);

#[derive(Debug)]
enum ReceiptState {
    /// Committed on the fast path.
    Committed(Seqs),
    /// Queued to the writer.
    Queued(oneshot::Receiver<Result<Seqs>>),
}

impl Future for Receipt {
    type Output = Result<Seqs>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            ReceiptState::Committed(seqs) => Poll::Ready(Ok(*seqs)),
            ReceiptState::Queued(answer) => Pin::new(answer)
                .poll(context)
                .map(|answer| answer.unwrap_or(Err(StoreError::Closed))),
        }
    }
}
