//! Attention of a layer: one pass over keys and values in f16 by the kernels of `kv_cache`, on the CPU's threads.
//!
//! Rows of queries, keys and values go in; keys and values are then in the caches, and the outputs are there. An output
//! is the same for every length of chunks and any number of threads.

use kv_cache::{Attention, AttentionInput, Chunk, HeadShape, KvStore};

use crate::threads::Threads;

/// Products in a part that is worth handing over: they take about 5 µs, and a part costs a tenth of one.
const PART_PRODUCTS: usize = 1 << 16;

/// Numbers to be written that are worth other threads.
const MANY_NUMBERS: usize = 1 << 12;

/// The chunks of a batch, one behind the other.
pub(crate) struct CpuBatch<'a> {
    pub(super) chunks: Vec<StoredChunk<'a>>,
    pub(super) heads: HeadShape,
    pub(super) threads: &'a Threads,
}

/// A chunk's positions and angles, and where its sequence's keys and values are.
pub(super) struct StoredChunk<'a> {
    pub(super) chunk: Chunk,
    pub(super) store: &'a mut KvStore,
}

impl CpuBatch<'_> {
    /// Writes the chunks' keys and values to a layer of their caches and lets their queries attend, all of them at
    /// once.
    ///
    /// `qkv` has a row of queries, keys and values for each token, not rotated, chunk after chunk; `out` a row of
    /// outputs.
    pub(super) fn attend(&mut self, layer_idx: usize, qkv: &[f32], out: &mut [f32]) {
        self.write(layer_idx, qkv);
        let (row_size, out_size) = (self.heads.row_size(), self.heads.out_size());
        let (mut rows_left, mut out_left) = (qkv, out);
        let inputs = self.chunks.iter().map(|StoredChunk { chunk, store }| {
            let n_tokens = chunk.n_tokens();
            AttentionInput {
                chunk,
                layer: store.layer(layer_idx),
                rows: rows_left
                    .split_off(..n_tokens * row_size)
                    .expect("a row for each token"),
                out: out_left
                    .split_off_mut(..n_tokens * out_size)
                    .expect("an output for each token"),
            }
        });
        self.run(Attention::new(inputs.collect()));
    }

    fn write(&mut self, layer_idx: usize, mut rows: &[f32]) {
        let is_much = rows.len() > MANY_NUMBERS;
        let mut writers = Vec::new();
        for StoredChunk { chunk, store } in &mut self.chunks {
            let rows = rows
                .split_off(..chunk.n_tokens() * self.heads.row_size())
                .expect("a row for each token");
            let layer = store.layer_mut(layer_idx);
            if is_much {
                writers.extend(layer.writers(chunk, rows));
            } else {
                layer.write(chunk, rows);
            }
        }
        self.threads.for_each(writers, |writer| writer.run());
    }

    fn run(&self, mut attention: Attention<'_>) {
        let n_parts = (attention.products() / PART_PRODUCTS).min(self.threads.max_parts());
        if n_parts < 2 {
            return attention.run();
        }
        self.threads.for_each(attention.parts(n_parts), |part| part.run());
        attention.finish();
    }
}
