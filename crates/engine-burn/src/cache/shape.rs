//! What a cache and the model that it belongs to must have in common.

use kv_cache::HeadShape;

/// The size of a token's keys and values, by which a cache fits its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KvShape {
    /// How a layer's row of queries, keys and values falls into heads.
    pub(crate) heads: HeadShape,
    /// Layers of the model.
    pub(crate) n_layers: usize,
}
