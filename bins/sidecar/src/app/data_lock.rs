//! A lock that admits one process at a time to a data folder.
//!
//! A second process would end the first one's running turns as if a crash had cut them off. The lock is the operating
//! system's: it ends with the process, however that ends.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use crate::error::StartError;

/// The lock's file in the data folder; it stays empty.
const LOCK_FILE: &str = "sidecar.lock";

/// Exclusive use of a data folder until this is dropped.
#[derive(Debug)]
pub(super) struct DataLock {
    _file: File,
}

impl DataLock {
    /// Locks the folder, creating it when it doesn't exist.
    ///
    /// # Errors
    /// [`StartError::DataInUse`] when another process holds the lock, or the disk's error.
    pub(super) fn take(data_dir: &Path) -> Result<Self, StartError> {
        let made = fs::create_dir_all(data_dir);
        made.map_err(|source| StartError::MakeFolder {
            path: data_dir.to_owned(),
            source,
        })?;
        let path = data_dir.join(LOCK_FILE);
        let unusable = |source| StartError::LockData {
            path: path.clone(),
            source,
        };
        let file = File::create(&path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StartError::DataInUse {
                path: data_dir.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }
}
