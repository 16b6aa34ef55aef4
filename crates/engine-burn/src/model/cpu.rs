//! The CPU's own backend: rows of f32 in plain memory, quantised matrices, keys and values in f16.
//!
//! No tensor library is involved. What comes before a product (a norm, a gate) is computed block by block while a row
//! is quantised, and what comes behind it (the residual) is added while an output is stored, so that there is no pass
//! over memory between. A row's results are the same bits for every length of chunks and any number of threads. The
//! exception are matrices that stay f32, which burn multiplies ([`f32_linear`]).

mod attention;
pub(crate) mod elementwise;
pub(crate) mod f32_linear;
pub(crate) mod linear;
mod loader;
pub(crate) mod quant_linear;
mod scratch;

use std::ops::Range;
use std::sync::Arc;

use kv_cache::{Chunk, Kernel, KvStore, Ring, RotaryTable};

use super::backend::{Backend, PlacedChunk};
use super::stored::StoredMatrix;
use super::weights::FeedForward;
use crate::BurnEngineError;
use crate::cache::{KvShape, KvStorage};
use crate::device::OnBackend;
use crate::threads::Threads;
use attention::{CpuBatch, StoredChunk};
use elementwise::RmsNorm;
use linear::Linear;
use quant_linear::Multiplier;
use scratch::Scratch;

pub(super) use loader::{CpuLoader, quantised_at_load};
pub(crate) use scratch::Rows;

/// The CPU for one model.
pub(crate) struct Cpu {
    multiplier: Multiplier,
    kv_shape: KvShape,
    rotary: RotaryTable,
    scratch: Arc<Scratch>,
}

impl Cpu {
    /// A backend on these threads for a model of that shape.
    pub(crate) fn new(threads: Arc<Threads>, kv_shape: KvShape, rope_base: f64) -> Self {
        Self {
            multiplier: Multiplier::new(threads),
            kv_shape,
            rotary: RotaryTable::new(kv_shape.heads.head_dim, rope_base),
            scratch: Arc::default(),
        }
    }

    /// [`Backend::norm_linear`] to memory of the caller's.
    fn norm_linear_to(&self, x: &[f32], norm: &RmsNorm, linear: &Linear, out: &mut [f32]) {
        match linear {
            Linear::Quantised(quantised) => quantised.norm_linear(&self.multiplier, x, norm, out),
            Linear::F32(plain) => plain.norm_linear(x, norm, out),
        }
    }
}

impl Backend for Cpu {
    type Rows = Rows;
    type Norm = RmsNorm;
    type Linear = Linear;
    type Kv = KvStore;
    type Batch<'a> = CpuBatch<'a>;

    /// Runs it on the caller's thread; operations fork to [`Threads`] where that pays.
    fn run<T: Send>(&self, compute: impl FnOnce() -> T + Send) -> T {
        compute()
    }

    fn stored(linear: &Linear) -> Vec<StoredMatrix> {
        linear.stored()
    }

    fn kv_shape(&self) -> KvShape {
        self.kv_shape
    }

    fn new_kv(&self, ring: &Ring) -> KvStorage {
        let KvShape { heads, n_layers } = self.kv_shape;
        OnBackend::Cpu(KvStore::new(ring, heads, n_layers, Kernel::detect()))
    }

    fn kv(storage: &mut KvStorage) -> Option<&mut KvStore> {
        match storage {
            OnBackend::Cpu(store) => Some(store),
            OnBackend::Burn(_) => None,
        }
    }

    fn begin<'a>(&'a self, chunks: Vec<PlacedChunk<'a, KvStore>>) -> CpuBatch<'a> {
        let chunks = chunks.into_iter().map(|chunk| {
            let end = chunk.ring.position();
            let positions = end - chunk.n_tokens as u64..end;
            StoredChunk {
                chunk: Chunk::new(&self.rotary, chunk.ring.sink_window(), positions),
                store: chunk.kv,
            }
        });
        CpuBatch {
            chunks: chunks.collect(),
            heads: self.kv_shape.heads,
            threads: self.multiplier.threads(),
        }
    }

    fn upload(&self, values: Vec<f32>, width: usize) -> Rows {
        let mut rows = self.scratch.take(values.len() / width, width);
        rows.copy_from_slice(&values);
        rows
    }

    fn select(&self, x: &Rows, ranges: &[Range<usize>]) -> Rows {
        let n_rows = ranges.iter().map(Range::len).sum();
        let mut selected = self.scratch.take(n_rows, x.width());
        let mut rest = &mut selected[..];
        for range in ranges {
            let rows = x.range(range.clone());
            let (out, after) = rest.split_at_mut(rows.len());
            out.copy_from_slice(rows);
            rest = after;
        }
        selected
    }

    fn norm_linear(&self, x: &Rows, norm: &RmsNorm, linear: &Linear) -> Rows {
        let mut out = self.scratch.take(x.n_rows(), linear.outputs());
        self.norm_linear_to(x, norm, linear, &mut out);
        out
    }

    fn attend(&self, batch: &mut CpuBatch<'_>, layer_idx: usize, qkv: Rows) -> Rows {
        let mut out = self.scratch.take(qkv.n_rows(), self.kv_shape.heads.out_size());
        batch.attend(layer_idx, &qkv, &mut out);
        out
    }

    fn add_linear(&self, mut residual: Rows, x: Rows, linear: &Linear) -> Rows {
        match linear {
            Linear::Quantised(quantised) => quantised.add_linear(&self.multiplier, &x, &mut residual),
            Linear::F32(plain) => plain.add_linear(&x, &mut residual),
        }
        residual
    }

    fn add_feed_forward(&self, mut x: Rows, feed_forward: &FeedForward<RmsNorm, Linear>) -> Rows {
        let FeedForward {
            norm,
            gate_up_proj,
            down_proj,
        } = feed_forward;
        let gate_up = self.norm_linear(&x, norm, gate_up_proj);
        match (gate_up_proj, down_proj) {
            (Linear::Quantised(_), Linear::Quantised(down)) => {
                down.add_gated(&self.multiplier, &gate_up, &mut x);
                x
            }
            // Beside a matrix in f32 the gate is burn's, too: of the two matrices, one is only asked for its device.
            (Linear::F32(plain), _) | (_, Linear::F32(plain)) => {
                let mut gated = self.scratch.take(gate_up.n_rows(), gate_up.width() / 2);
                plain.gate(&gate_up, gate_up.width(), &mut gated);
                self.add_linear(x, gated, down_proj)
            }
        }
    }

    fn logits(&self, x: &Rows, norm: &RmsNorm, lm_head: &Linear, out: &mut [f32]) -> Result<(), BurnEngineError> {
        self.norm_linear_to(x, norm, lm_head, out);
        Ok(())
    }
}
