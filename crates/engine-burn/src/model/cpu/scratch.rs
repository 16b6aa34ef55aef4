//! Rows of activations, in memory that is used again.
//!
//! Every layer needs rows of the same sizes, and every token: memory that one operation has dropped is taken by the
//! next, without asking the allocator or clearing it.

use std::ops::{Deref, DerefMut, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Memory of rows that are no longer in use.
#[derive(Default)]
pub(super) struct Scratch {
    spare: Mutex<Vec<Vec<f32>>>,
}

/// Rows, one behind the other: a slice of `n_rows * width` values. Dropping them makes their memory spare.
pub(crate) struct Rows {
    /// At least as many values as the rows have.
    memory: Vec<f32>,
    n_rows: usize,
    width: usize,
    scratch: Arc<Scratch>,
}

impl Scratch {
    /// Gives `n_rows` rows of `width` values, to be written: until then they are what was computed there before.
    pub(super) fn take(self: &Arc<Self>, n_rows: usize, width: usize) -> Rows {
        let len = n_rows * width;
        let mut memory = self.best_fit(len);
        if memory.len() < len {
            memory.clear();
            memory.resize(len, 0.0);
        }
        Rows {
            memory,
            n_rows,
            width,
            scratch: Arc::clone(self),
        }
    }

    /// The smallest memory that is large enough, else the largest, which grows.
    fn best_fit(&self, len: usize) -> Vec<f32> {
        let mut spare = self.spare();
        let fit = |memory: &Vec<f32>| match memory.len() {
            enough if enough >= len => enough,
            too_small => usize::MAX - too_small,
        };
        let best = (0..spare.len()).min_by_key(|&idx| fit(&spare[idx]));
        best.map(|idx| spare.swap_remove(idx)).unwrap_or_default()
    }

    /// Memory is put back whole, so a panic leaves nothing half done.
    fn spare(&self) -> MutexGuard<'_, Vec<Vec<f32>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    pub(super) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Values of a row.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Some of the rows.
    pub(super) fn range(&self, rows: Range<usize>) -> &[f32] {
        &self[rows.start * self.width..rows.end * self.width]
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.scratch.spare().push(std::mem::take(&mut self.memory));
    }
}

impl Deref for Rows {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[..self.n_rows * self.width]
    }
}

impl DerefMut for Rows {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[..self.n_rows * self.width]
    }
}
