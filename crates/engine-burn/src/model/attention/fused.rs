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
const MANY_NUMBERS: usize = 1 << 14;

/// A chunk, and where its sequence's keys and values are.
pub(super) struct FusedAttention<'a> {
    pub(super) chunk: Chunk,
    pub(super) heads: HeadShape,
    pub(super) store: &'a mut KvStore,
    /// `None`: the caller's alone.
    pub(super) threads: Option<&'a Threads>,
    pub(super) device: &'a Device,
}

impl FusedAttention<'_> {
    /// See [`ChunkAttention::attend`](super::ChunkAttention::attend).
    pub(super) fn attend(&mut self, layer_idx: usize, qkv: Tensor<2>) -> Tensor<2> {
        let n_tokens = self.chunk.n_tokens();
        let qkv = qkv.into_data();
        let rows = qkv.as_slice().expect("the CPU's activations are f32");
        self.write(layer_idx, rows);
        let mut out = vec![0.0; n_tokens * self.heads.out_size()];
        let input = AttentionInput {
            chunk: &self.chunk,
            layer: self.store.layer(layer_idx),
            rows,
            out: &mut out,
        };
        self.run(Attention::new(vec![input]));
        Tensor::from_data(TensorData::new(out, [n_tokens, self.heads.out_size()]), self.device)
    }

    fn write(&mut self, layer_idx: usize, rows: &[f32]) {
        let layer = self.store.layer_mut(layer_idx);
        match self.threads {
            Some(threads) if rows.len() > MANY_NUMBERS => {
                let writers = layer.writers(&self.chunk, rows).collect();
                threads.for_each(writers, |writer| writer.run());
            }
            Some(_) | None => layer.write(&self.chunk, rows),
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
