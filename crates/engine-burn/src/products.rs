//! What all quantised matrices of a device share: the threads that multiply, and the memory for a chunk's inputs.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fmt, io};

use quant::Activations;

use crate::threads::Threads;

/// The CPU's side of products with quantised matrices.
pub(crate) struct Products {
    threads: Threads,
    /// Inputs of one product at a time: 1.1 MiB for 512 tokens of 1,536 values, which each matrix would keep for itself otherwise.
    inputs: Mutex<Activations>,
    /// What lies between the two products of one layer's gate at a time: 6 MiB for 512 tokens of 3,072 values, which would be
    /// filled with zeros for each layer otherwise.
    between: Mutex<Vec<f32>>,
}

impl fmt::Debug for Products {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Products")
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

impl Products {
    /// Products on `n_threads` threads in all, the caller's own among them.
    ///
    /// # Errors
    /// Whatever the system says when it gives no more threads.
    pub(crate) fn new(n_threads: usize) -> io::Result<Self> {
        Ok(Self {
            threads: Threads::new(n_threads)?,
            inputs: Mutex::default(),
            between: Mutex::default(),
        })
    }

    pub(crate) fn threads(&self) -> &Threads {
        &self.threads
    }

    /// The memory for inputs, until the guard is dropped. Whoever takes it fills it anew, so a panic leaves nothing behind.
    pub(crate) fn inputs(&self) -> MutexGuard<'_, Activations> {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The memory for at least `len` values between two products, until the guard is dropped; as for [`Products::inputs`].
    pub(crate) fn between(&self, len: usize) -> MutexGuard<'_, Vec<f32>> {
        let mut between = self.between.lock().unwrap_or_else(PoisonError::into_inner);
        if between.len() < len {
            between.resize(len, 0.0);
        }
        between
    }
}
