//! A small pool of read connections. Each read is one transaction, on a thread where it may block.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Transaction};
use tokio::sync::Semaphore;

use crate::{StoreError, error::Result, schema::Database};

/// Reads at once. SQLite's reads are short and from memory; more connections would only hold more caches.
const CONNECTIONS: usize = 4;

/// The pool. Connections are opened when they are first needed.
#[derive(Debug)]
pub(crate) struct Readers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    database: Database,
    free: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Makes an empty pool.
    pub(crate) fn new(database: Database) -> Self {
        let free = Arc::new(Semaphore::new(CONNECTIONS));
        Self {
            shared: Arc::new(Shared {
                database,
                free,
                idle: Mutex::default(),
            }),
        }
    }

    /// Runs `query` in a read transaction; SQLite's errors are reported as a failed read of `what`.
    pub(crate) async fn read<T, Q>(&self, what: &'static str, query: Q) -> Result<T>
    where
        T: Send + 'static,
        Q: FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.shared.free)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        let shared = Arc::clone(&self.shared);
        let read = move || {
            // Held until the connection is back, so that there are never more than CONNECTIONS.
            let _permit = permit;
            shared.run(query)
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Err(StoreError::Read { source, .. })) => Err(StoreError::Read { what, source }),
            Ok(result) => result,
            Err(_) => Err(StoreError::Closed),
        }
    }
}

impl Shared {
    fn run<T>(&self, query: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.database.open_reader()?,
        };
        let transaction = connection.transaction()?;
        let result = query(&transaction);
        drop(transaction);
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
        result
    }
}
