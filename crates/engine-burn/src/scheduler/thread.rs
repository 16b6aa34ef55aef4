//! The scheduler's thread: loads the model, then schedules until the engine is closed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use engine::EngineError;

use super::cache_pool::CachePool;
use super::queue::RequestQueue;
use super::runner::ModelRunner;
use super::{Scheduler, SchedulerConfig};
use crate::BurnEngineError;
use crate::error::with_sources;

/// What the thread is started with, beside the model.
pub(crate) struct SchedulerThread {
    /// The name under which users know the model.
    pub(crate) model: String,
    pub(crate) queue: Arc<RequestQueue>,
    pub(crate) pool: CachePool,
    pub(crate) config: SchedulerConfig,
}

impl SchedulerThread {
    /// Starts the thread, which loads the model with `load`. It ends once the queue is closed.
    ///
    /// # Errors
    /// [`BurnEngineError::SpawnThread`].
    pub(crate) fn spawn(
        self,
        load: impl FnOnce() -> Result<ModelRunner, BurnEngineError> + Send + 'static,
    ) -> Result<JoinHandle<()>, BurnEngineError> {
        Builder::new()
            .name("scheduler".to_owned())
            .spawn(move || self.run(load))
            .map_err(|source| BurnEngineError::SpawnThread { source })
    }

    fn run(self, load: impl FnOnce() -> Result<ModelRunner, BurnEngineError>) {
        let (queue, index) = (Arc::clone(&self.queue), Arc::clone(self.pool.index()));
        let reason = match catch_unwind(AssertUnwindSafe(load)) {
            Ok(Ok(runner)) => {
                queue.set_ready();
                let scheduler = Scheduler::new(self.queue, runner, self.pool, self.config);
                match catch_unwind(AssertUnwindSafe(|| scheduler.run())) {
                    Ok(()) => "the engine was closed".to_owned(),
                    Err(_) => "the scheduler panicked".to_owned(),
                }
            }
            Ok(Err(error)) => with_sources(&error),
            Err(_) => "loading panicked".to_owned(),
        };
        index.close();
        for request in queue.set_failed(reason.clone()) {
            request.fail(EngineError::ModelUnavailable {
                model: self.model.clone(),
                reason: reason.clone(),
            });
        }
    }
}
