//! Why the disk can't be read or written, in words by which a person can fix it.

use std::fmt;

use rusqlite::ErrorCode;

/// What keeps the store from reading or writing. No fault outlasts its cause: each command is tried without regard to
/// earlier ones.
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
    /// Returns the fault that SQLite's error stands for. An error in a statement is not the disk's.
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

/// Returns the cause as the end of an error's sentence, or nothing if the disk is not the cause.
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
