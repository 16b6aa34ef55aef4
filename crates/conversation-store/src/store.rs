//! The store's public face: writes go to the writer thread, reads to a pool of read connections.

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
    live::Live,
    queries,
    readers::Readers,
    schema,
    tail::Tails,
    writer::{Apply, Delete, Flush, SetHead, Writer},
};

/// A data folder's conversations. Clones are the same store; the last one dropped closes it, after what is
/// queued has been committed.
#[derive(Debug, Clone)]
pub struct ConversationStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Dropped first: the last connection to close tidies the WAL away, and only the writer's may write.
    readers: Readers,
    writer: Writer,
    tails: Tails,
    live: Live,
}

impl ConversationStore {
    /// Opens the store in `data_dir`, and makes folder, file and tables where they are missing.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names a file that is no database; [`StoreError::Migrate`] one of a newer version.
    pub fn open(data_dir: &Path) -> Result<Self> {
        Self::open_tuned(data_dir, "")
    }

    /// Looks through a data folder's database from end to end; what is damaged in it, in SQLite's words. It changes nothing, takes as long as
    /// reading the whole file, and may run beside an open store.
    ///
    /// # Errors
    /// There is no database, or it can't be read at all.
    pub fn find_damage(data_dir: &Path) -> Result<Vec<String>> {
        schema::Database::in_folder(data_dir).find_damage()
    }

    /// Opens the store, with pragmas for the writer's connection on top: tests make the disk full by them.
    pub(crate) fn open_tuned(data_dir: &Path, pragmas: &str) -> Result<Self> {
        let database = schema::Database::create(data_dir)?;
        let connection = database.open_writer(pragmas)?;
        let readers = Readers::new(database);
        let tails = Tails::default();
        let live = Live::recover(data_dir, &connection, tails.clone())?;
        let writer = Writer::start(connection, tails.clone(), live.clone())?;
        let store = Self {
            inner: Arc::new(Inner {
                readers,
                writer,
                tails,
                live,
            }),
        };
        store.flush(store.inner.live.groups());
        Ok(store)
    }

    /// Begins a turn: conversation, turn and `user` event are durable (`synchronous=FULL`) when it returns.
    ///
    /// The same `turn_id` with the same `body_hash` joins the turn that is there.
    ///
    /// # Errors
    /// `DuplicateTurn`, `TurnNotFound` (the parent), `Gone`, `TooLarge`.
    pub async fn begin_turn(&self, turn: NewTurn) -> Result<Begun> {
        self.run(turn).await
    }

    /// Appends events to a running turn; returns once they are committed (`synchronous=NORMAL`: they outlive
    /// this process, and a power cut up to the last user turn or terminal event).
    ///
    /// # Errors
    /// `NotWritable` when the turn is over, `IllegalTransition` when it had started, `Gone`, `TooLarge`.
    pub async fn append(&self, append: AppendEvents) -> Result<Seqs> {
        self.enqueue(append).await?.await
    }

    /// Commits an append, or queues it; returns at once, or as soon as what came before it in its conversation is committed. What one
    /// task enqueues keeps its order, also against its later [`Self::end_turn`], so that a caller needn't wait for each commit.
    ///
    /// # Errors
    /// `Closed`; whatever else is wrong comes out of the receipt.
    pub async fn enqueue(&self, append: AppendEvents) -> Result<Receipt> {
        let live = &self.inner.live;
        let mut appended = live.append(&append);
        if appended.is_none() {
            live.settled(&append).await;
            appended = live.append(&append);
        }
        if let Some(appended) = appended {
            self.flush(appended.flush);
            return Ok(Receipt(Outcome::Committed(appended.seqs)));
        }
        let answer = self.inner.writer.enqueue(append).await?;
        Ok(Receipt(Outcome::Queued(answer)))
    }

    /// Appends events that no running turn writes, durable (`synchronous=FULL`) when it returns.
    ///
    /// # Errors
    /// `TurnNotFound`, `Gone`, `TooLarge`, `NoEvents`.
    pub async fn publish(&self, publish: Publish) -> Result<Seqs> {
        self.run(publish).await
    }

    /// Ends a turn with its one terminal event, durable (`synchronous=FULL`) when it returns; the event's number.
    ///
    /// # Errors
    /// `IllegalTransition` when the turn is over already, `Gone`, `TooLarge`.
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

    /// Deletes a conversation; its id stays behind as [`StoreError::Gone`]. Its rows are removed bit by bit
    /// afterwards, so that a long one doesn't hold up the others' turns.
    ///
    /// # Errors
    /// `ConversationNotFound`, `Gone` the second time.
    pub async fn delete(&self, conversation: &str) -> Result<()> {
        self.run(Delete {
            conversation: conversation.to_owned(),
        })
        .await
    }

    /// Follows a conversation's log. Make the tail first, read [`Self::events`] to their end, then wait for
    /// [`Tail::changed`]: nothing is missed. The conversation needn't exist yet.
    pub fn tail(&self, conversation: &str) -> Tail {
        self.inner.tails.follow(conversation)
    }

    /// Reads events with `seq > after`, in order. At most `limit`, 1,000, or about 1 MiB of them: only an
    /// empty answer means that there are no more.
    ///
    /// # Errors
    /// `ConversationNotFound`, `Gone`.
    pub async fn events(&self, conversation: &str, after: u64, limit: usize) -> Result<Vec<Event>> {
        let (id, live) = (conversation.to_owned(), self.inner.live.clone());
        self.inner
            .readers
            .read("events", move |db| {
                // First what is held, then the database: what moves in between is in both, and told apart by its number.
                let unflushed = live.unflushed(&id);
                queries::events(db, &unflushed, &id, after, limit)
            })
            .await
    }

    /// Reads the events of a conversation that is followed, as [`Self::events`] does, and without asking SQLite while the reader
    /// keeps up with a running turn. The tail must have been made before `after` was last read.
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
        let live = self.inner.live.clone();
        self.inner
            .readers
            .read("a turn", move |db| {
                let unflushed = live.unflushed(&id);
                queries::turn(db, &unflushed, &id, &turn_id)
            })
            .await
    }

    /// Reads the path from `start` towards the root, the newest turn first, as far as `limit` lets it: an
    /// endless conversation costs no more than what is asked for. An unknown or empty conversation has none.
    ///
    /// # Errors
    /// `Gone`, `TurnNotFound` (the start).
    pub async fn path(&self, conversation: &str, start: PathStart, limit: PathLimit) -> Result<Vec<Turn>> {
        let (id, live) = (conversation.to_owned(), self.inner.live.clone());
        self.inner
            .readers
            .read("a path of turns", move |db| {
                let unflushed = live.unflushed(&id);
                queries::path(db, &unflushed, &id, start, limit)
            })
            .await
    }

    /// Reads the whole tree in the order in which turns began, from the turn after `after` (0: the first).
    /// At most `limit`, 200, or about 1 MiB of them: only an empty answer means that there are no more.
    ///
    /// # Errors
    /// `ConversationNotFound`, `Gone`.
    pub async fn turns(&self, conversation: &str, after: TurnKey, limit: usize) -> Result<Vec<Turn>> {
        let (id, live) = (conversation.to_owned(), self.inner.live.clone());
        self.inner
            .readers
            .read("turns", move |db| {
                let unflushed = live.unflushed(&id);
                queries::turns(db, &unflushed, &id, after, limit)
            })
            .await
    }

    /// Reads the agent with that content hash, as JSON, as a turn saw it.
    ///
    /// # Errors
    /// Only when SQLite can't read.
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
        let (id, live) = (id.to_owned(), self.inner.live.clone());
        self.inner
            .readers
            .read("a conversation", move |db| {
                let unflushed = live.unflushed(&id);
                let found = queries::conversation(db, &id)?;
                Ok(found.map(|conversation| conversation.with(&unflushed)))
            })
            .await
    }

    /// Lists conversations, the newest created first, at most `limit` or 200 a page.
    ///
    /// # Errors
    /// `InvalidCursor`.
    pub async fn list(&self, cursor: Option<&str>, limit: usize) -> Result<Page> {
        let (cursor, live) = (cursor.map(str::to_owned), self.inner.live.clone());
        self.inner
            .readers
            .read("conversations", move |db| {
                let unflushed = live.all_unflushed();
                let mut page = queries::list(db, cursor.as_deref(), limit)?;
                let found = page.conversations.into_iter();
                page.conversations = found.map(|conversation| conversation.with(&unflushed)).collect();
                Ok(page)
            })
            .await
    }

    /// Reads every turn that is pending or streaming: after a start, those that a crash cut off.
    ///
    /// # Errors
    /// Only when SQLite can't read.
    pub async fn running(&self) -> Result<Vec<Turn>> {
        let live = self.inner.live.clone();
        self.inner
            .readers
            .read("running turns", move |db| queries::running(db, &live.all_unflushed()))
            .await
    }

    /// Reads a conversation out as JSON Lines, piece by piece: all that is needed to import it again, under its numbers and times.
    pub fn export(&self, conversation: &str) -> Export {
        Export::new(self.clone(), conversation.to_owned())
    }

    /// Takes a conversation in, line by line, as an export gives them. Nobody sees any of it before its end.
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

    /// Queues a command whose outcome nobody waits for, unless the queue is full.
    pub(crate) fn run_unheard<C: Apply>(&self, command: C) {
        self.inner.writer.try_enqueue(command);
    }

    /// Has groups of conversations moved from the journal to the database, when the writer comes to it.
    fn flush(&self, groups: Vec<Vec<String>>) {
        for conversations in groups {
            self.run_unheard(Flush { conversations });
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

/// The commit of an append: resolves to its numbers, or to why nothing of it was stored.
#[derive(Debug)]
#[must_use = "an append may fail; its receipt says so"]
pub struct Receipt(Outcome);

#[derive(Debug)]
enum Outcome {
    /// By the journal, before it was queued.
    Committed(Seqs),
    /// By the writer, when it comes to it.
    Queued(oneshot::Receiver<Result<Seqs>>),
}

impl Future for Receipt {
    type Output = Result<Seqs>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Outcome::Committed(seqs) => Poll::Ready(Ok(*seqs)),
            Outcome::Queued(answer) => Pin::new(answer)
                .poll(context)
                .map(|answer| answer.unwrap_or(Err(StoreError::Closed))),
        }
    }
}
