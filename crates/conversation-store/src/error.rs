//! The store's errors, named after what was tried.

mod disk;

use std::{io, path::PathBuf, sync::Arc};

pub use disk::DiskFault;

use crate::{TurnKey, TurnState};

/// Why the store refused or failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The data folder couldn't be made.
    #[error("cannot make the data folder {}", path.display())]
    MakeFolder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// The database couldn't be opened or brought up to date.
    #[error("cannot open the database {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: Arc<rusqlite::Error>,
    },
    /// The file is not a database, or a damaged one.
    #[error("the database {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        source: Arc<rusqlite::Error>,
    },
    /// The tables couldn't be made or changed to this version's.
    #[error("cannot bring the database {} up to date", path.display())]
    Migrate {
        /// The file.
        path: PathBuf,
        /// The migration's error, also if the database is of a newer version.
        source: Arc<rusqlite_migration::Error>,
    },
    /// The write-ahead log of an ended process couldn't be read.
    #[error("cannot read the journals of running turns in {}", folder.display())]
    ReadJournal {
        /// The data folder.
        folder: PathBuf,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// A thread of the store couldn't be started.
    #[error("cannot start the store's writer thread")]
    StartWriter {
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// SQLite couldn't read.
    #[error("cannot read {what}{}", disk::because(source))]
    Read {
        /// What was to be read.
        what: &'static str,
        /// SQLite's error.
        source: Arc<rusqlite::Error>,
    },
    /// SQLite couldn't write, as on a full disk. Nothing of the command was stored.
    #[error("cannot write {what}{}", disk::because(source))]
    Write {
        /// What was to be written.
        what: &'static str,
        /// SQLite's error.
        source: Arc<rusqlite::Error>,
    },
    /// A stored value is not one that this version writes.
    #[error("turn {turn} holds a stored {column} that cannot be read")]
    BadRecord {
        /// The turn.
        turn: TurnKey,
        /// The column.
        column: &'static str,
    },
    /// The store is shutting down, or its writer is gone.
    #[error("the conversation store is closed")]
    Closed,
    /// No conversation of that id.
    #[error("conversation \"{conversation}\" not found")]
    ConversationNotFound {
        /// Its id.
        conversation: String,
    },
    /// The conversation was deleted; its id stays taken.
    #[error("conversation \"{conversation}\" was deleted")]
    Gone {
        /// Its id.
        conversation: String,
    },
    /// No such turn in that conversation.
    #[error("turn \"{turn}\" not found in conversation \"{conversation}\"")]
    TurnNotFound {
        /// The conversation.
        conversation: String,
        /// The turn, by its id or number.
        turn: String,
    },
    /// A turn of that id exists with another body.
    #[error("turn \"{turn_id}\" exists already in conversation \"{conversation}\" with another body")]
    DuplicateTurn {
        /// The conversation.
        conversation: String,
        /// The turn's id.
        turn_id: String,
    },
    /// The turn's state doesn't allow the step, as a second terminal event.
    #[error("turn {turn} is {from} and cannot become {to}")]
    IllegalTransition {
        /// The turn.
        turn: TurnKey,
        /// Its state.
        from: TurnState,
        /// The state that was asked for.
        to: TurnState,
    },
    /// Events or answers were appended to a turn that can't take them.
    #[error("turn {turn} is {state} and takes no {what}")]
    NotWritable {
        /// The turn.
        turn: TurnKey,
        /// Its state.
        state: TurnState,
        /// What was appended.
        what: &'static str,
    },
    /// An append without an event.
    #[error("an append to turn {turn} has no event")]
    NoEvents {
        /// The turn.
        turn: TurnKey,
    },
    /// A publication without an event.
    #[error("nothing was published in conversation {conversation:?}")]
    NothingPublished {
        /// The conversation.
        conversation: String,
    },
    /// An earlier append to the same turn failed, so this one would leave a gap in the answer. The turn can only be
    /// ended.
    #[error("an earlier append to turn {turn} failed")]
    AfterFailure {
        /// The turn.
        turn: TurnKey,
    },
    /// A command is larger than the store takes at once.
    #[error("{what} of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// What was to be written.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The most that is taken.
        limit: usize,
    },
    /// The conversation can't be exported while one of its turns is pending or streaming.
    #[error("a turn of conversation \"{conversation}\" runs: it can be exported when it has ended")]
    Running {
        /// Its id.
        conversation: String,
    },
    /// The id of an import is taken.
    #[error("conversation \"{conversation}\" exists already")]
    ConversationExists {
        /// Its id.
        conversation: String,
    },
    /// An imported line is not one that an export returns. Nothing of the import is stored.
    #[error("line {line}: {reason}")]
    BadArchive {
        /// The line, from 1; the last one when something is missing.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// A page was requested with a cursor that no page returned.
    #[error("cursor \"{cursor}\" is not one that a page gave")]
    InvalidCursor {
        /// The cursor.
        cursor: String,
    },
}

impl StoreError {
    /// Returns a function that turns SQLite's error into a failed write of `what`.
    pub(crate) fn writing(what: &'static str) -> impl Fn(rusqlite::Error) -> Self {
        move |source| Self::Write {
            what,
            source: Arc::new(source),
        }
    }

    /// Returns what is wrong with the disk, if that is the cause.
    #[must_use]
    pub fn disk_fault(&self) -> Option<DiskFault> {
        if let Self::Write { source, .. } | Self::Read { source, .. } = self {
            DiskFault::of(source)
        } else {
            None
        }
    }

    /// Returns true if SQLite failed, rather than the command being refused.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::Read { .. })
    }
}

/// Turns a query's error into a failed read; the pool of readers adds what was read.
impl From<rusqlite::Error> for StoreError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Read {
            what: "the database",
            source: Arc::new(source),
        }
    }
}

/// The crate's results.
pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;
