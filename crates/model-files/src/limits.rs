//! Upper limits of everything in a model's files.
//!
//! Each is far above what any model of the Llama family has, and low enough that a header within them costs little
//! memory.

/// Entries of GGUF metadata; real files have 20 to 60.
pub(crate) const MAX_METADATA: u64 = 4_096;
/// Tensors of a model; a Llama of 126 layers has 1,138, and sparse ones stay below 20,000.
pub(crate) const MAX_TENSORS: u64 = 65_536;
/// Bytes of the name of a tensor or of a metadata key; GGUF allows 64 and 65,535, but no model needs more than this.
pub(crate) const MAX_NAME_BYTES: u64 = 256;
/// Dimensions of a tensor; ggml's own limit.
pub(crate) const MAX_DIMS: u32 = 4;
/// Tokens of a vocabulary; the largest in use have 256,000.
pub(crate) const MAX_VOCAB: usize = 1 << 20;
/// Bytes of one token; the longest in use are runs of 256 spaces and of 160 characters.
pub(crate) const MAX_TOKEN_BYTES: u64 = 4_096;
/// Bytes of config.json and tokenizer_config.json; the latter lists added tokens and may hold a template.
pub(crate) const MAX_CONFIG_BYTES: u64 = 8 << 20;
/// Bytes of tokenizer.json; that of a vocabulary of 256,000 has 33 MB.
pub(crate) const MAX_TOKENIZER_BYTES: u64 = 128 << 20;
/// Bytes of a chat template; the longest in use have about 20,000.
pub(crate) const MAX_TEMPLATE_BYTES: u64 = 256 << 10;
/// Bytes of model.safetensors.index.json: a line of 100 bytes for each of the most tensors.
pub(crate) const MAX_INDEX_BYTES: u64 = 16 << 20;
/// safetensors files of one model.
pub(crate) const MAX_SHARDS: usize = 1_024;
/// Layers of a model; the deepest Llama has 126.
pub(crate) const MAX_LAYERS: usize = 1_024;
/// Any size of the architecture; keeps every product of two of them within 64 bits.
pub(crate) const MAX_SIZE: u64 = 1 << 31;
