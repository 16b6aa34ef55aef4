//! Why the disk can't be read or written, in words that tell a person what to mend.

use std::fmt;

use rusqlite::ErrorCode;

/// What keeps the store from reading or writing. None of it outlasts its cause: the next command is tried afresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiskFault {
    /// No room is left.
    Full,
    /// The file, its folder or the file system takes no writes.
    ReadOnly,
    /// Another process holds the database.
    Locked,
    /// The file is no longer a sound database.
    Damaged,
    /// The system refuses for another reason.
    Refused,
}

impl DiskFault {
    /// Reads what SQLite said; a statement that makes no sense is no fault of the disk.
    pub(crate) fn of(error: &rusqlite::Error) -> Option<Self> {
        match error.sqlite_error_code()? {
            ErrorCode::DiskFull => Some(Self::Full),
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Some(Self::ReadOnly),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Some(Self::Locked),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Some(Self::Damaged),
            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => Some(Self::Refused),
            _ => None,
        }
    }
}

/// The end of a sentence: why, where the disk is to blame.
pub(super) fn because(error: &rusqlite::Error) -> String {
    DiskFault::of(error).map_or_else(String::new, |fault| format!(": {fault}"))
}

impl fmt::Display for DiskFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the disk is full",
            Self::ReadOnly => "the database is read-only",
            Self::Locked => "another process holds the database",
            Self::Damaged => "the database is damaged",
            Self::Refused => "the system refuses it (a quota, a limit on file sizes, or a fault of the disk)",
        })
    }
}
