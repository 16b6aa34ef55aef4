//! Attention over sinks and window, in two ways.
//!
//! In [`plain`], burn operations in f32 on any device; in [`fused`], one pass over keys and values in f16 on the CPU, to the same
//! bits however a stream falls into chunks. A sequence's cache says which: it holds the one or the other.

mod fused;
mod plain;
mod plan;

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use kv_cache::{Chunk, HeadShape, RotaryTable};

use super::SequenceChunk;
use crate::cache::{Storage, StorageKind};
use crate::products::Products;
use crate::{BurnEngineError, ComputeDevice};
use fused::{FusedAttention, FusedChunk};
use plain::{PlainChunk, TensorHeads};
use plan::{ChunkPlan, Rotator};

/// What attention needs of a model and its device.
pub(super) struct Attention {
    heads: HeadShape,
    rotator: Rotator,
    device: Device,
    /// There when attention is fused.
    products: Option<Arc<Products>>,
}

/// The chunks of a batch on their way through the layers.
pub(super) struct BatchAttention<'a>(Way<'a>);

enum Way<'a> {
    Plain {
        chunks: Vec<PlainChunk<'a>>,
        heads: TensorHeads,
    },
    Fused(FusedAttention<'a>),
}

impl Attention {
    pub(super) fn new(heads: HeadShape, rope_base: f64, device: &ComputeDevice) -> Self {
        let table = RotaryTable::new(heads.head_dim, rope_base);
        Self {
            heads,
            rotator: Rotator::new(table, TensorHeads(heads), device.burn()),
            device: device.burn().clone(),
            products: device.products().cloned(),
        }
    }

    /// What the caches of sequences hold.
    pub(super) fn storage(&self) -> StorageKind {
        match self.products {
            Some(_) => StorageKind::F16,
            None => StorageKind::Tensors,
        }
    }

    /// Makes room in the caches for what the chunks add, and works out what their layers have in common.
    ///
    /// # Errors
    /// [`BurnEngineError::Cache`]; all caches are as before.
    pub(super) fn begin<'a>(
        &'a self,
        chunks: &'a mut [SequenceChunk<'_>],
    ) -> Result<BatchAttention<'a>, BurnEngineError> {
        for chunk in &*chunks {
            chunk.cache.ring().check_room(chunk.ids.len() as u64)?;
        }
        let (mut plain, mut fused) = (Vec::new(), Vec::new());
        for SequenceChunk { cache, ids, .. } in chunks {
            let insert = cache.insert(ids.len())?;
            let (ring, storage) = cache.parts();
            let positions = ring.position() - ids.len() as u64..ring.position();
            match storage {
                Storage::Tensors(layers) => plain.push(PlainChunk {
                    plan: ChunkPlan::new(ring, insert, &self.rotator),
                    layers,
                }),
                Storage::F16(store) => fused.push(FusedChunk {
                    chunk: Chunk::new(self.rotator.table(), ring.sink_window(), positions),
                    store,
                }),
            }
        }
        Ok(BatchAttention(if fused.is_empty() {
            let heads = TensorHeads(self.heads);
            Way::Plain { chunks: plain, heads }
        } else {
            // A model's caches are all of one kind.
            Way::Fused(FusedAttention {
                chunks: fused,
                heads: self.heads,
                threads: self.products.as_ref().map(|products| products.threads()),
                device: &self.device,
            })
        }))
    }
}

impl BatchAttention<'_> {
    /// Writes the chunks' keys and values to the caches of a layer and lets their queries attend.
    ///
    /// # Shapes
    /// - `qkv`: `[tokens, (n_heads + 2 * n_kv_heads) * head_dim]`, not rotated, chunk after chunk
    /// - returns: `[tokens, n_heads * head_dim]`
    pub(super) fn attend(&mut self, layer_idx: usize, qkv: Tensor<2>) -> Tensor<2> {
        match &mut self.0 {
            Way::Plain { chunks, heads } => plain::attend_batch(qkv, chunks, layer_idx, *heads),
            Way::Fused(fused) => fused.attend(layer_idx, qkv),
        }
    }
}
