//! A burn device, with the threads that burn computes on if it is the CPU.

use std::sync::Arc;

use burn::tensor::Device;

use crate::BurnEngineError;

/// An open burn device. Clones are the same device.
#[derive(Debug, Clone)]
pub(crate) struct BurnDevice {
    device: Device,
    /// The pool on which burn's CPU cuts its operations; `None` on a GPU.
    pool: Option<Arc<rayon::ThreadPool>>,
}

impl BurnDevice {
    /// Opens the CPU with a pool of `n_threads` threads.
    ///
    /// # Errors
    /// [`BurnEngineError::Threads`].
    pub(crate) fn cpu(n_threads: usize) -> Result<Self, BurnEngineError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n_threads)
            .thread_name(|idx| format!("model-{idx}"))
            .build()
            .map_err(|error| BurnEngineError::Threads {
                threads: n_threads,
                reason: error.to_string(),
            })?;
        Ok(Self {
            device: Device::flex(),
            pool: Some(Arc::new(pool)),
        })
    }

    /// Takes a GPU that is open already.
    #[cfg(feature = "gpu")]
    pub(crate) fn gpu(device: Device) -> Self {
        Self { device, pool: None }
    }

    /// What tensors are made on.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Returns true if this is the CPU.
    pub(crate) fn is_cpu(&self) -> bool {
        self.pool.is_some()
    }

    /// Threads that compute; 1 on a GPU, which has its own.
    pub(crate) fn n_threads(&self) -> usize {
        self.pool.as_ref().map_or(1, |pool| pool.current_num_threads())
    }

    /// Runs a computation on the device's threads; the caller waits.
    pub(crate) fn run<T: Send>(&self, compute: impl FnOnce() -> T + Send) -> T {
        match &self.pool {
            Some(pool) => pool.install(compute),
            None => compute(),
        }
    }
}
