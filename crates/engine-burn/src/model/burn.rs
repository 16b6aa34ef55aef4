//! burn's backend: plain tensor operations in f32, on any GPU that burn reaches and on the CPU.
//!
//! What other backends are compared with. Each operation is its formula; nothing is fused or kept between two of them.

mod attention;
mod heads;
pub(crate) mod linear;
mod loader;
mod plan;

use std::ops::Range;

use burn::tensor::{Tensor, TensorData};
use kv_cache::{Ring, RotaryTable};

use super::backend::{Backend, PlacedChunk};
use super::stored::StoredMatrix;
use super::weights::FeedForward;
use crate::BurnEngineError;
use crate::cache::{KvShape, KvStorage, TensorKv};
use crate::device::{BurnDevice, OnBackend};
use attention::TensorChunk;
use heads::TensorHeads;
use linear::{Linear, RmsNorm};
use plan::{ChunkPlan, Rotator};

pub(crate) use loader::BurnLoader;

/// A burn device for one model.
pub(crate) struct Burn {
    device: BurnDevice,
    kv_shape: KvShape,
    rotator: Rotator,
}

impl Burn {
    /// A backend on this device for a model of that shape.
    pub(crate) fn new(device: BurnDevice, kv_shape: KvShape, rope_base: f64) -> Self {
        let table = RotaryTable::new(kv_shape.heads.head_dim, rope_base);
        Self {
            rotator: Rotator::new(table, kv_shape.heads, device.device()),
            device,
            kv_shape,
        }
    }
}

impl Backend for Burn {
    type Rows = Tensor<2>;
    type Norm = RmsNorm;
    type Linear = Linear;
    type Kv = TensorKv;
    type Batch<'a> = Vec<TensorChunk<'a>>;

    fn run<T: Send>(&self, compute: impl FnOnce() -> T + Send) -> T {
        self.device.run(compute)
    }

    fn stored(linear: &Linear) -> Vec<StoredMatrix> {
        vec![linear.stored()]
    }

    fn kv_shape(&self) -> KvShape {
        self.kv_shape
    }

    fn new_kv(&self, _ring: &Ring) -> KvStorage {
        OnBackend::Burn(TensorKv::new(self.kv_shape, self.device.device().clone()))
    }

    fn kv(storage: &mut KvStorage) -> Option<&mut TensorKv> {
        match storage {
            OnBackend::Burn(tensors) => Some(tensors),
            OnBackend::Cpu(_) => None,
        }
    }

    fn begin<'a>(&'a self, chunks: Vec<PlacedChunk<'a, TensorKv>>) -> Vec<TensorChunk<'a>> {
        let chunks = chunks.into_iter().map(|chunk| TensorChunk {
            plan: ChunkPlan::new(chunk.ring, chunk.insert, &self.rotator),
            kv: chunk.kv,
        });
        chunks.collect()
    }

    fn upload(&self, values: Vec<f32>, width: usize) -> Tensor<2> {
        let n_rows = values.len() / width;
        Tensor::from_data(TensorData::new(values, [n_rows, width]), self.device.device())
    }

    fn select(&self, x: &Tensor<2>, ranges: &[Range<usize>]) -> Tensor<2> {
        let ranges = ranges.iter().map(|range| x.clone().slice_dim(0, range.clone()));
        Tensor::cat(ranges.collect(), 0)
    }

    fn norm_linear(&self, x: &Tensor<2>, norm: &RmsNorm, linear: &Linear) -> Tensor<2> {
        linear.forward(norm.forward(x.clone()))
    }

    fn attend(&self, batch: &mut Vec<TensorChunk<'_>>, layer_idx: usize, qkv: Tensor<2>) -> Tensor<2> {
        attention::attend_batch(qkv, batch, layer_idx, TensorHeads(self.kv_shape.heads))
    }

    fn add_linear(&self, residual: Tensor<2>, x: Tensor<2>, linear: &Linear) -> Tensor<2> {
        residual + linear.forward(x)
    }

    fn add_feed_forward(&self, x: Tensor<2>, feed_forward: &FeedForward<RmsNorm, Linear>) -> Tensor<2> {
        let gate_up = self.norm_linear(&x, &feed_forward.norm, &feed_forward.gate_up_proj);
        self.add_linear(x, linear::gated(gate_up), &feed_forward.down_proj)
    }

    fn logits(&self, x: &Tensor<2>, norm: &RmsNorm, lm_head: &Linear, out: &mut [f32]) -> Result<(), BurnEngineError> {
        let logits = self.norm_linear(x, norm, lm_head);
        let values = logits
            .try_into_vec_as::<f32>()
            .map_err(|error| BurnEngineError::ReadBack {
                reason: error.to_string(),
            })?;
        out.copy_from_slice(&values);
        Ok(())
    }
}
