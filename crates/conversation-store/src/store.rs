//! The store's public interface: commands, queries, tails and archives.

use std::{path::Path, sync::Arc};

use crate::{
    AppendEvents, BegunTurn, Conversation, ConversationPage, EndTurn, Event, Export, Import, ImportChecks,
    ImportTarget, NewTurn, PathLimit, PathStart, Publish, Receipt, SeqRange, Tail, Turn, TurnKey,
    backend::Backend,
    error::Result,
    queries, schema,
    writer::{Command, Delete, SetHead},
};

/// The conversations of a data folder. Clones share one store. Dropping the last one closes it, after the queued
/// commands are committed.
#[derive(Debug, Clone)]
pub struct ConversationStore {
    backend: Arc<Backend>,
}

impl ConversationStore {
    /// Opens the store in `data_dir`, and creates the folder, the file and the tables if they are missing.
    ///
    /// # Errors
    /// [`crate::StoreError::Damaged`] if the file is not a database, [`crate::StoreError::Migrate`] if it is one of a
    /// newer version.
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
        let backend = Arc::new(Backend::open(data_dir, pragmas)?);
        Ok(Self { backend })
    }

    /// Begins a turn. The conversation, the turn and its `user` event are durable (`synchronous=FULL`) when it returns.
    ///
    /// The same `turn_id` with the same `body_hash` joins the existing turn.
    ///
    /// # Errors
    /// `DuplicateTurn`, `TurnNotFound` (the parent), `Gone`, `TooLarge`.
    pub async fn begin_turn(&self, turn: NewTurn) -> Result<BegunTurn> {
        self.backend.run(|reply| Command::BeginTurn(turn, reply)).await
    }

    /// Appends events to a running turn, and returns once they are committed (`synchronous=NORMAL`: they survive the
    /// process, and a power cut as far as the last durable command).
    ///
    /// # Errors
    /// `NotWritable` if the turn is over, `IllegalTransition` if it had started already, `Gone`, `TooLarge`.
    pub async fn append(&self, append: AppendEvents) -> Result<SeqRange> {
        self.enqueue(append).await?.await
    }

    /// Commits an append on the fast path, or else queues it. Returns at once, or as soon as the conversation's earlier
    /// commands are committed. What one task enqueues keeps its order, also relative to its later [`Self::end_turn`],
    /// so a caller needn't wait for each commit.
    ///
    /// # Errors
    /// `Closed`; the receipt returns all others.
    pub async fn enqueue(&self, append: AppendEvents) -> Result<Receipt> {
        self.backend.append(append).await
    }

    /// Appends events that no running turn writes, durable (`synchronous=FULL`) when it returns.
    ///
    /// # Errors
    /// `TurnNotFound`, `Gone`, `TooLarge`, `NoEvents`.
    pub async fn publish(&self, publish: Publish) -> Result<SeqRange> {
        self.backend.run(|reply| Command::Publish(publish, reply)).await
    }

    /// Ends a turn with its one terminal event, durable (`synchronous=FULL`) when it returns. Returns the event's
    /// number.
    ///
    /// # Errors
    /// `IllegalTransition` if the turn is over already, `Gone`, `TooLarge`.
    pub async fn end_turn(&self, end: EndTurn) -> Result<u64> {
        self.backend.run(|reply| Command::EndTurn(end, reply)).await
    }

    /// Makes a turn the conversation's head, which switches the active path.
    ///
    /// # Errors
    /// `TurnNotFound`, `ConversationNotFound`, `Gone`.
    pub async fn set_head(&self, conversation: &str, turn_id: &str) -> Result<()> {
        let head = SetHead {
            conversation: conversation.to_owned(),
            turn_id: turn_id.to_owned(),
        };
        self.backend.run(|reply| Command::SetHead(head, reply)).await
    }

    /// Deletes a conversation; its id stays taken, as [`crate::StoreError::Gone`]. Its rows are removed afterwards in
    /// small transactions, so that a long conversation doesn't delay the turns of others.
    ///
    /// # Errors
    /// `ConversationNotFound`, `Gone` the second time.
    pub async fn delete(&self, conversation: &str) -> Result<()> {
        let delete = Delete {
            conversation: conversation.to_owned(),
        };
        self.backend.run(|reply| Command::Delete(delete, reply)).await
    }

    /// Subscribes to a conversation's log. To miss nothing, make the tail first, read [`Self::events`] to their end,
    /// then wait for [`Tail::changed`]. The conversation needn't exist yet.
    pub fn tail(&self, conversation: &str) -> Tail {
        self.backend.subscribe(conversation)
    }

    /// Reads events with `seq > after`, in order: at most `limit`, 1,000, or about 1 MiB of them. Only an empty result
    /// means that there are no more.
    ///
    /// # Errors
    /// `ConversationNotFound`, `Gone`.
    pub async fn events(&self, conversation: &str, after: u64, limit: usize) -> Result<Vec<Event>> {
        self.backend
            .read_conversation("events", conversation, move |db, memtable, id| {
                queries::events(db, memtable, id, after, limit)
            })
            .await
    }

    /// Reads events as [`Self::events`] does, but without a query while the reader keeps up with a running turn. The
    /// tail must have been made before the reader got as far as `after`.
    ///
    /// # Errors
    /// As [`Self::events`].
    pub async fn read_tail(&self, tail: &Tail, after: u64, limit: usize) -> Result<Vec<Event>> {
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
        let turn_id = turn_id.to_owned();
        self.backend
            .read_conversation("a turn", conversation, move |db, memtable, id| {
                queries::turn(db, memtable, id, &turn_id)
            })
            .await
    }

    /// Reads the path from `start` towards the root, the newest turn first, up to `limit`: the cost doesn't depend on
    /// the conversation's length. An unknown or empty conversation has an empty path.
    ///
    /// # Errors
    /// `Gone`, `TurnNotFound` (the start).
    pub async fn path(&self, conversation: &str, start: PathStart, limit: PathLimit) -> Result<Vec<Turn>> {
        self.backend
            .read_conversation("a path of turns", conversation, move |db, memtable, id| {
                queries::path(db, memtable, id, start, limit)
            })
            .await
    }

    /// Reads the tree's turns in the order in which they began, from the one after `after` (0: the first): at most
    /// `limit`, 200, or about 1 MiB of them. Only an empty result means that there are no more.
    ///
    /// # Errors
    /// `ConversationNotFound`, `Gone`.
    pub async fn turns(&self, conversation: &str, after: TurnKey, limit: usize) -> Result<Vec<Turn>> {
        self.backend
            .read_conversation("turns", conversation, move |db, memtable, id| {
                queries::turns(db, memtable, id, after, limit)
            })
            .await
    }

    /// Reads the snapshot of the agent with that content hash, as JSON.
    ///
    /// # Errors
    /// Only if SQLite can't read.
    pub async fn agent_snapshot(&self, agent_hash: &str) -> Result<Option<String>> {
        let hash = agent_hash.to_owned();
        self.backend
            .read("an agent snapshot", move |db| queries::agent_snapshot(db, &hash))
            .await
    }

    /// Reads one conversation; an unknown one is `None`.
    ///
    /// # Errors
    /// `Gone`.
    pub async fn conversation(&self, id: &str) -> Result<Option<Conversation>> {
        self.backend
            .read_conversation("a conversation", id, |db, memtable, id| {
                let found = queries::conversation(db, id)?;
                Ok(found.map(|conversation| conversation.merged_with(memtable)))
            })
            .await
    }

    /// Lists conversations, the newest created first, at most `limit` or 200 a page.
    ///
    /// # Errors
    /// `InvalidCursor`.
    pub async fn list(&self, cursor: Option<&str>, limit: usize) -> Result<ConversationPage> {
        let cursor = cursor.map(str::to_owned);
        self.backend
            .read_all("conversations", move |db, memtables| {
                let mut page = queries::list(db, cursor.as_deref(), limit)?;
                let found = page.conversations.into_iter();
                page.conversations = found.map(|conversation| conversation.merged_with(memtables)).collect();
                Ok(page)
            })
            .await
    }

    /// Reads every turn that is pending or streaming: after a start, those that a crash interrupted.
    ///
    /// # Errors
    /// Only if SQLite can't read.
    pub async fn running(&self) -> Result<Vec<Turn>> {
        self.backend.read_all("running turns", queries::running).await
    }

    /// Exports a conversation as JSON Lines, piece by piece: all that is needed to import it again, with its numbers
    /// and times.
    pub fn export(&self, conversation: &str) -> Export {
        Export::new(Arc::clone(&self.backend), conversation.to_owned())
    }

    /// Imports a conversation line by line, as an export returns them. None of it is visible before its end.
    pub fn import(&self, to: ImportTarget, checks: ImportChecks) -> Import {
        Import::new(Arc::clone(&self.backend), to, checks)
    }

    /// Runs a pragma in the writer's connection.
    #[cfg(test)]
    pub(crate) async fn pragma(&self, sql: &str) -> Result<()> {
        let sql = sql.to_owned();
        self.backend.run(|reply| Command::Pragma(sql, reply)).await
    }
}
