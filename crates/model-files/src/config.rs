//! The numbers that define what a model of the Llama family computes.

/// How the two halves of a rotated pair are arranged in the rows of the query and key matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RopeLayout {
    /// Pair `i` of a head is `(2i, 2i + 1)`: GGUF files of the Llama family.
    Interleaved,
    /// Pair `i` of a head is `(i, i + head_dim / 2)`: Hugging Face checkpoints.
    HalfSplit,
}

/// The architecture of a model: complete, and checked against its tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// Number of transformer layers.
    pub n_layers: usize,
    /// Size of the residual stream.
    pub hidden_size: usize,
    /// Number of query heads.
    pub n_heads: usize,
    /// Number of key and value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Size of a head; even.
    pub head_dim: usize,
    /// Size of the feed-forward layer between the gate and the down projection.
    pub intermediate_size: usize,
    /// Rows of the embedding; at least the number of ids of the tokenizer.
    pub vocab_size: usize,
    /// The context length that the model was trained for, in tokens.
    pub context_tokens: usize,
    /// Base of the rotary angles ("theta").
    pub rope_base: f64,
    /// Epsilon of the RMS norms.
    pub norm_eps: f32,
    /// True if the output matrix is the embedding.
    pub tied_embedding: bool,
    /// The order of the rows in the query and key matrices.
    pub rope_layout: RopeLayout,
    /// The token to put before plain text; `None` if the model expects none (a chat template writes its own).
    pub bos: Option<u32>,
    /// The tokens that end an answer, in ascending order; never empty.
    pub stop_ids: Vec<u32>,
}

impl ModelConfig {
    /// Returns the rows of the query matrix: `n_heads * head_dim`.
    pub fn query_size(&self) -> usize {
        self.n_heads * self.head_dim
    }

    /// Returns the rows of the key matrix and of the value matrix: `n_kv_heads * head_dim`.
    pub fn kv_size(&self) -> usize {
        self.n_kv_heads * self.head_dim
    }
}
