//! The weights of a Llama under their usual names, generic over a backend's matrices and norms.

/// The weights of a model but its embedding, which stays in the file. `N` is a norm, `L` a matrix without bias.
pub(super) struct Weights<N, L> {
    pub(super) layers: Vec<Layer<N, L>>,
    /// Before the output matrix.
    pub(super) norm: N,
    /// `[vocab_size, hidden_size]`; the embedding itself where the two are tied.
    pub(super) lm_head: L,
}

/// One layer: attention, then a feed-forward network, each after a norm of its input and added to it.
pub(super) struct Layer<N, L> {
    pub(super) attention_norm: N,
    /// `[(n_heads + 2 * n_kv_heads) * head_dim, hidden_size]`: queries, keys and values one below the other; the rows
    /// of queries and keys are half-split, also where the file has them interleaved.
    pub(super) qkv_proj: L,
    /// `[hidden_size, n_heads * head_dim]`.
    pub(super) o_proj: L,
    pub(super) feed_forward: FeedForward<N, L>,
}

/// A gated feed-forward network (SwiGLU, arXiv:2002.05202).
pub(crate) struct FeedForward<N, L> {
    pub(crate) norm: N,
    /// `[2 * intermediate_size, hidden_size]`, the gate's half first.
    pub(crate) gate_up_proj: L,
    /// `[hidden_size, intermediate_size]`.
    pub(crate) down_proj: L,
}

impl<N, L> Weights<N, L> {
    /// All matrices, from the first layer to the output.
    pub(super) fn matrices(&self) -> impl Iterator<Item = &L> {
        self.layers.iter().flat_map(Layer::matrices).chain([&self.lm_head])
    }
}

impl<N, L> Layer<N, L> {
    /// Its matrices, in the order in which a token meets them.
    pub(super) fn matrices(&self) -> [&L; 4] {
        let FeedForward {
            gate_up_proj,
            down_proj,
            ..
        } = &self.feed_forward;
        [&self.qkv_proj, &self.o_proj, gate_up_proj, down_proj]
    }
}
