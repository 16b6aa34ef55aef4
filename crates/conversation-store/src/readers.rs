//! A small pool of read connections. Each read is one transaction, on a thread that may block.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::{StoreError, error::Result, schema::Database};

/// Concurrent reads. They are short and mostly from memory; more connections would only take more memory for caches.
const CONNECTIONS: usize = 4;

/// The pool. A connection is opened when it is first needed.
#[derive(Debug)]
pub(crate) struct Readers {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    database: Database,
    free: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Makes an empty pool.
    pub(crate) fn new(database: Database) -> Self {
        let free = Arc::new(Semaphore::new(CONNECTIONS));
        Self {
            pool: Arc::new(Pool {
                database,
                free,
                idle: Mutex::default(),
            }),
        }
    }

    /// Runs `query` in a read transaction. SQLite's errors are reported as a failed read of `what`.
    pub(crate) async fn read<T, Q>(&self, what: &'static str, query: Q) -> Result<T>
    where
        T: Send + 'static,
        Q: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.pool.free)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        let pool = Arc::clone(&self.pool);
        let read = move || {
            // Held until the connection is back in the pool, so that there are never more than CONNECTIONS.
            let _permit = permit;
            pool.run(query)
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Err(StoreError::Read { source, .. })) => Err(StoreError::Read { what, source }),
            Ok(result) => result,
            Err(_) => Err(StoreError::Closed),
        }
    }
}

impl Pool {
    fn run<T>(&self, query: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
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
