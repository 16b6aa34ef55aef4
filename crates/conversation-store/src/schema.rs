//! The database file: its path, the settings of its connections, and its tables by numbered migrations.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use rusqlite_migration::{M, Migrations};

use crate::{StoreError, error::Result};

const FILE_NAME: &str = "conversations.sqlite3";

/// How long a connection waits for another process's lock: longer than any transaction of ours takes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements that a connection keeps: all of the crate's, so that each is compiled once.
const STATEMENTS: usize = 64;

/// SQLite's own WAL is truncated to this after a checkpoint, so that one burst doesn't occupy the disk without end.
const SQLITE_WAL_BYTES: i64 = 64 << 20;

/// The migrations, in order. They may only be appended to: a database stores how many were applied to it.
const MIGRATION_STEPS: &[M<'_>] = &[
    M::up(include_str!("schema/001_log.sql")),
    M::up(include_str!("schema/002_rounds.sql")),
    M::up(include_str!("schema/003_import.sql")),
    M::up(include_str!("schema/004_parts.sql")),
];
const MIGRATIONS: Migrations<'_> = Migrations::from_slice(MIGRATION_STEPS);

/// A database file in an existing folder.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
}

impl Database {
    /// Returns the database of a data folder, and creates the folder.
    pub(crate) fn create(data_dir: &Path) -> Result<Self> {
        fs::create_dir_all(data_dir).map_err(|source| StoreError::MakeFolder {
            path: data_dir.to_owned(),
            source: Arc::new(source),
        })?;
        Ok(Self::in_folder(data_dir))
    }

    /// Returns the database of an existing data folder.
    pub(crate) fn in_folder(data_dir: &Path) -> Self {
        Self {
            path: data_dir.join(FILE_NAME),
        }
    }

    /// Returns the damage that SQLite finds; nothing for a sound file.
    pub(crate) fn find_damage(&self) -> Result<Vec<String>> {
        let connection = self.open_reader()?;
        let find = || {
            let mut check = connection.prepare("PRAGMA integrity_check")?;
            let found = check.query_map([], |row| row.get::<_, String>(0))?;
            found.collect::<rusqlite::Result<Vec<_>>>()
        };
        let mut found = find().map_err(|source| self.opening(source))?;
        found.retain(|words| words != "ok");
        Ok(found)
    }

    /// Opens the one connection that writes, and brings the tables up to date.
    pub(crate) fn open_writer(&self, pragmas: &str) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = self.connect(flags)?;
        self.set_up_wal(&connection).map_err(|source| self.opening(source))?;
        MIGRATIONS.to_latest(&mut connection).map_err(|source| match source {
            rusqlite_migration::Error::RusqliteError { err, .. } if is_damage(&err) => self.opening(err),
            source => StoreError::Migrate {
                path: self.path.clone(),
                source: Arc::new(source),
            },
        })?;
        // Imports of the last process will not be finished: their rows are removed.
        let unfinished = "UPDATE conversation SET deleted = 1 WHERE deleted = 3";
        connection
            .execute(unfinished, [])
            .map_err(|source| self.opening(source))?;
        connection
            .execute_batch(pragmas)
            .map_err(|source| self.opening(source))?;
        Ok(connection)
    }

    /// Opens a connection that only reads.
    pub(crate) fn open_reader(&self) -> Result<Connection> {
        self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
    }

    fn connect(&self, flags: OpenFlags) -> Result<Connection> {
        let connect = || {
            let connection = Connection::open_with_flags(&self.path, flags)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS);
            Ok(connection)
        };
        connect().map_err(|source| self.opening(source))
    }

    fn set_up_wal(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "journal_size_limit", SQLITE_WAL_BYTES)
    }

    fn opening(&self, source: rusqlite::Error) -> StoreError {
        let (path, source) = (self.path.clone(), Arc::new(source));
        if is_damage(&source) {
            StoreError::Damaged { path, source }
        } else {
            StoreError::Open { path, source }
        }
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
    )
}
