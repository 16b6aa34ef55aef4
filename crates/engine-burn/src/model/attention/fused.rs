//! One pass over keys and values in f16, by the kernels of `kv_cache` on the threads that multiply.
//!
//! Tensors in and out are f32 and on the CPU. An output is the same in whatever chunk its token comes and on however many threads.

use burn::tensor::{Device, Tensor, TensorData};
use kv_cache::{Attention, AttentionInput, Chunk, HeadShape, KvStore};

use crate::threads::Threads;

/// Products in a part that is worth handing over: they take about 5 µs, and a part costs a tenth of one.
const PART_PRODUCTS: usize = 1 << 16;

/// Parts for each thread at the most: a thread that the system takes away for a while holds up no more than a quarter of its share.
const PARTS_PER_THREAD: usize = 4;

/// Numbers to be written that are worth other threads.
const MANY_NUMBERS: usize = 1 << 12;

/// A chunk, and where its sequence's keys and values are.
pub(super) struct FusedChunk<'a> {
    pub(super) chunk: Chunk,
    pub(super) store: &'a mut KvStore,
}

/// The chunks of a batch.
pub(super) struct FusedAttention<'a> {
    pub(super) chunks: Vec<FusedChunk<'a>>,
    pub(super) heads: HeadShape,
    /// `None`: the caller's alone.
    pub(super) threads: Option<&'a Threads>,
    pub(super) device: &'a Device,
}

impl FusedAttention<'_> {
    /// See [`BatchAttention::attend`](super::BatchAttention::attend).
    pub(super) fn attend(&mut self, layer_idx: usize, qkv: Tensor<2>) -> Tensor<2> {
        let [n_tokens, row_size] = qkv.dims();
        let out_size = self.heads.out_size();
        let qkv = qkv.into_data();
        let rows: &[f32] = qkv.as_slice().expect("the CPU's activations are f32");
        self.write(layer_idx, rows);
        let mut out = vec![0.0; n_tokens * out_size];
        let (mut rows_left, mut out_left) = (rows, out.as_mut_slice());
        let inputs = self.chunks.iter().map(|FusedChunk { chunk, store }| {
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
        Tensor::from_data(TensorData::new(out, [n_tokens, out_size]), self.device)
    }

    fn write(&mut self, layer_idx: usize, mut rows: &[f32]) {
        let row_size = self.heads.row_size();
        let is_much = rows.len() > MANY_NUMBERS;
        let mut writers = Vec::new();
        for FusedChunk { chunk, store } in &mut self.chunks {
            let rows = rows
                .split_off(..chunk.n_tokens() * row_size)
                .expect("a row for each token");
            let layer = store.layer_mut(layer_idx);
            if is_much {
                writers.extend(layer.writers(chunk, rows));
            } else {
                layer.write(chunk, rows);
            }
        }
        match self.threads {
            Some(threads) => threads.for_each(writers, |writer| writer.run()),
            None => writers.into_iter().for_each(|writer| writer.run()),
        }
    }

    fn run(&self, mut attention: Attention<'_>) {
        let Some(threads) = self.threads else {
            return attention.run();
        };
        let n_parts = (attention.products() / PART_PRODUCTS).min(threads.n_threads() * PARTS_PER_THREAD);
        if n_parts < 2 {
            return attention.run();
        }
        threads.for_each(attention.parts(n_parts), |part| part.run());
        attention.finish();
    }
}
