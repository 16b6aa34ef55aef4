//! Keys and values as burn's tensors in f32, wherever the model is.
//!
//! `kv_cache` decides on slots; this file holds their contents. Keys are stored rotated by their position in the stream
//! and are never rotated again; nothing moves but when the storage grows, which ends when the ring is whole.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use kv_cache::Insert;

use super::shape::KvShape;

/// The keys and values of all layers of a sequence.
#[derive(Debug)]
pub(crate) struct TensorKv {
    shape: KvShape,
    device: Device,
    layers: Vec<LayerKv>,
}

impl TensorKv {
    /// Storage without slots; the first chunk makes some.
    pub(crate) fn new(shape: KvShape, device: Device) -> Self {
        Self {
            shape,
            device,
            layers: (0..shape.n_layers).map(|_| LayerKv::default()).collect(),
        }
    }

    pub(crate) fn layer_mut(&mut self, layer_idx: usize) -> &mut LayerKv {
        &mut self.layers[layer_idx]
    }

    /// Bytes that are allocated now.
    pub(super) fn bytes(&self) -> usize {
        self.layers.iter().map(LayerKv::bytes).sum()
    }

    /// Bytes of so many slots.
    pub(super) fn bytes_of(&self, slots: usize) -> usize {
        let values = 2 * self.shape.heads.n_kv_heads * self.shape.heads.head_dim;
        self.layers.len() * slots * values * size_of::<f32>()
    }

    /// Fills `slots` slots of every layer with some numbers.
    pub(super) fn fill(&mut self, slots: usize, number: &mut dyn FnMut() -> f32) {
        let heads = self.shape.heads;
        let mut tensor = |dims: [usize; 3]| {
            let numbers: Vec<f32> = (0..dims.iter().product()).map(|_| number()).collect();
            Some(Tensor::from_data(TensorData::new(numbers, dims), &self.device))
        };
        for layer in &mut self.layers {
            *layer = LayerKv {
                keys: tensor([heads.n_kv_heads, heads.head_dim, slots]),
                values: tensor([heads.n_kv_heads, slots, heads.head_dim]),
            };
        }
    }
}

/// The keys and values of one layer.
///
/// Keys lie with their slots last, values with their heads' values last: so both products of attention read consecutive
/// memory. They are `None` while there are no slots, and within a method: burn writes in place when it owns the tensor
/// alone, and copies all of it otherwise.
#[derive(Debug, Default)]
pub(crate) struct LayerKv {
    keys: Option<Tensor<3>>,
    values: Option<Tensor<3>>,
}

impl LayerKv {
    /// Keys, rotated by their position in the stream: `[n_kv_heads, head_dim, slots]`.
    pub(crate) fn keys(&self, slots: Range<usize>) -> Tensor<3> {
        self.keys
            .clone()
            .expect("a chunk is written before it is read")
            .slice_dim(KEY_SLOTS, slots)
    }

    /// Values: `[n_kv_heads, slots, head_dim]`.
    pub(crate) fn values(&self, slots: Range<usize>) -> Tensor<3> {
        self.values
            .clone()
            .expect("a chunk is written before it is read")
            .slice_dim(VALUE_SLOTS, slots)
    }

    /// Writes a chunk's keys, `[n_kv_heads, head_dim, tokens]`, and values, `[n_kv_heads, tokens, head_dim]`, to their
    /// slots.
    pub(crate) fn write(&mut self, insert: &Insert, keys: &Tensor<3>, values: &Tensor<3>) {
        self.keys = Some(written(self.keys.take(), insert, keys, KEY_SLOTS));
        self.values = Some(written(self.values.take(), insert, values, VALUE_SLOTS));
    }

    fn bytes(&self) -> usize {
        let tensors = self.keys.iter().chain(&self.values);
        tensors
            .map(|tensor| tensor.shape().num_elements() * size_of::<f32>())
            .sum()
    }
}

/// The dimension of slots in the storage of keys.
const KEY_SLOTS: usize = 2;

/// The dimension of slots in the storage of values.
const VALUE_SLOTS: usize = 1;

/// Writes a chunk to its slots of the storage, which grows for it.
fn written(storage: Option<Tensor<3>>, insert: &Insert, chunk: &Tensor<3>, slot_dim: usize) -> Tensor<3> {
    let mut storage = grown(storage, insert.allocated_slots, chunk, slot_dim);
    for span in &insert.spans {
        let from = span.first_token..span.first_token + span.slots.len();
        let part = if from.len() == chunk.dims()[slot_dim] {
            chunk.clone()
        } else {
            chunk.clone().slice_dim(slot_dim, from)
        };
        storage = assigned(storage, span.slots.clone(), part, slot_dim);
    }
    storage
}

/// Returns storage of at least `slots` slots that holds in the first of them what it held before.
fn grown(storage: Option<Tensor<3>>, slots: usize, like: &Tensor<3>, slot_dim: usize) -> Tensor<3> {
    let mut dims = like.dims();
    dims[slot_dim] = slots;
    match storage {
        None => Tensor::zeros(dims, &like.device()),
        Some(storage) if storage.dims()[slot_dim] >= slots => storage,
        Some(storage) => {
            let filled = 0..storage.dims()[slot_dim];
            assigned(Tensor::zeros(dims, &like.device()), filled, storage, slot_dim)
        }
    }
}

/// Writes a part to some slots of the storage.
fn assigned(storage: Tensor<3>, slots: Range<usize>, part: Tensor<3>, slot_dim: usize) -> Tensor<3> {
    let mut ranges = storage.dims().map(|len| 0..len);
    ranges[slot_dim] = slots;
    storage.slice_assign(ranges, part)
}
