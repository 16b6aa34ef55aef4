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

use crate::cache::{LayerCache, SequenceCache, Storage, StorageKind};
use crate::products::Products;
use crate::{BurnEngineError, ComputeDevice};
use fused::FusedAttention;
use plain::TensorHeads;
use plan::{ChunkPlan, Rotator};

/// What attention needs of a model and its device.
pub(super) struct Attention {
    heads: HeadShape,
    rotator: Rotator,
    device: Device,
    /// There when attention is fused.
    products: Option<Arc<Products>>,
}

/// A chunk on its way through the layers.
pub(super) struct ChunkAttention<'a>(Way<'a>);

enum Way<'a> {
    Plain {
        plan: Box<ChunkPlan>,
        heads: TensorHeads,
        layers: &'a mut [LayerCache],
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
            Some(_) => StorageKind::Halves(self.heads),
            None => StorageKind::Tensors,
        }
    }

    /// Makes room in the cache for `tokens` more, and works out what its layers have in common.
    ///
    /// # Errors
    /// [`BurnEngineError::Cache`]; the cache is as before.
    pub(super) fn begin<'a>(
        &'a self,
        cache: &'a mut SequenceCache,
        tokens: usize,
    ) -> Result<ChunkAttention<'a>, BurnEngineError> {
        let insert = cache.insert(tokens)?;
        let (ring, storage) = cache.parts();
        Ok(ChunkAttention(match storage {
            Storage::Tensors(layers) => Way::Plain {
                plan: Box::new(ChunkPlan::new(ring, insert, &self.rotator)),
                heads: TensorHeads(self.heads),
                layers,
            },
            Storage::Halves(store) => {
                let positions = ring.position() - tokens as u64..ring.position();
                Way::Fused(FusedAttention {
                    chunk: Chunk::new(self.rotator.table(), ring.sink_window(), positions),
                    heads: self.heads,
                    store,
                    threads: self.products.as_ref().map(|products| products.threads()),
                    device: &self.device,
                })
            }
        }))
    }
}

impl ChunkAttention<'_> {
    /// Writes the chunk's keys and values to the cache of a layer and lets its queries attend.
    ///
    /// # Shapes
    /// - `qkv`: `[tokens, (n_heads + 2 * n_kv_heads) * head_dim]`, not rotated
    /// - returns: `[tokens, n_heads * head_dim]`
    pub(super) fn attend(&mut self, layer_idx: usize, qkv: Tensor<2>) -> Tensor<2> {
        match &mut self.0 {
            Way::Plain { plan, heads, layers } => plain::attend(qkv, &mut layers[layer_idx], plan, *heads),
            Way::Fused(fused) => fused.attend(layer_idx, qkv),
        }
    }
}
