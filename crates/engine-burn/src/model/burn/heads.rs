//! How tensors of queries, keys and values fall into heads, there and back.

use burn::tensor::Tensor;
use kv_cache::HeadShape;

/// How tensors of queries, keys or values fall into heads.
#[derive(Debug, Clone, Copy)]
pub(super) struct TensorHeads(pub(super) HeadShape);

impl TensorHeads {
    pub(super) fn kv_size(self) -> usize {
        self.0.n_kv_heads * self.0.head_dim
    }

    /// `[tokens, n_kv_heads * head_dim]` to `[n_kv_heads, head_dim, tokens]`.
    pub(super) fn split_keys(self, x: Tensor<2>) -> Tensor<3> {
        let [tokens, _] = x.dims();
        x.reshape([tokens, self.0.n_kv_heads, self.0.head_dim])
            .permute([1, 2, 0])
    }

    /// `[tokens, n_kv_heads * head_dim]` to `[n_kv_heads, tokens, head_dim]`.
    pub(super) fn split_values(self, x: Tensor<2>) -> Tensor<3> {
        let [tokens, _] = x.dims();
        x.reshape([tokens, self.0.n_kv_heads, self.0.head_dim]).swap_dims(0, 1)
    }

    /// `[tokens, n_heads * head_dim]` to `[n_kv_heads, group * tokens, head_dim]`.
    pub(super) fn split_queries(self, x: Tensor<2>) -> Tensor<3> {
        let [tokens, _] = x.dims();
        let x = x
            .reshape([tokens, self.0.n_kv_heads, self.0.group(), self.0.head_dim])
            .permute([1, 2, 0, 3]);
        x.reshape([self.0.n_kv_heads, self.0.group() * tokens, self.0.head_dim])
    }

    /// The way back from [`TensorHeads::split_queries`].
    pub(super) fn join_queries(self, x: Tensor<3>, tokens: usize) -> Tensor<2> {
        let x = x
            .reshape([self.0.n_kv_heads, self.0.group(), tokens, self.0.head_dim])
            .permute([2, 0, 1, 3]);
        x.reshape([tokens, self.0.out_size()])
    }
}
