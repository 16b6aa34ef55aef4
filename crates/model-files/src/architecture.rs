//! The tensors of a Llama model, their shapes, and their names in both kinds of file.

use std::collections::HashMap;

use crate::{LayerTensor, ModelConfig, ModelFileError, TensorName, Tokenizer, files::TensorLocation, limits};

/// The tensor names of one kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    Gguf,
    HuggingFace,
}

/// Finds every tensor of the architecture in `found` and checks its shape; none may be left over.
pub(crate) fn resolve_tensors(
    config: &ModelConfig,
    naming: Naming,
    mut found: HashMap<String, TensorLocation>,
) -> Result<HashMap<TensorName, TensorLocation>, ModelFileError> {
    let mut tensors = HashMap::with_capacity(found.len());
    for tensor in all(config) {
        let name = naming.name(tensor);
        let Some(location) = found.remove(&name) else {
            return Err(ModelFileError::MissingTensor { name });
        };
        let (expected, found_shape) = (shape(config, tensor), [location.rows, location.cols]);
        if found_shape != expected {
            return Err(ModelFileError::WrongShape {
                name,
                expected,
                found: found_shape,
            });
        }
        tensors.insert(tensor, location);
    }
    let mut unused: Vec<String> = found
        .into_keys()
        .filter(|name| !naming.is_ignorable(name, config))
        .collect();
    unused.sort_unstable();
    match unused.into_iter().next() {
        None => Ok(tensors),
        Some(name) => Err(unexpected(name)),
    }
}

/// Checks the relations between the numbers, so that later products of them can't overflow or be zero.
pub(crate) fn check_sizes(config: &ModelConfig) -> Result<(), ModelFileError> {
    let bad = |key: &str, expected, found: usize| {
        Err(ModelFileError::BadValue {
            key: key.to_owned(),
            expected,
            found: found.to_string(),
        })
    };
    if config.n_layers > limits::MAX_LAYERS {
        return bad("number of layers", "at most 1024", config.n_layers);
    }
    if config.n_kv_heads > config.n_heads || !config.n_heads.is_multiple_of(config.n_kv_heads) {
        return bad(
            "number of key-value heads",
            "a divisor of the number of heads",
            config.n_kv_heads,
        );
    }
    if !config.head_dim.is_multiple_of(2) {
        return bad("head size", "an even number", config.head_dim);
    }
    if !(config.norm_eps.is_finite() && config.norm_eps > 0.0) {
        let found = config.norm_eps.to_string();
        return Err(ModelFileError::BadValue {
            key: "norm epsilon".to_owned(),
            expected: "above 0",
            found,
        });
    }
    if !(config.rope_base.is_finite() && config.rope_base > 1.0) {
        let found = config.rope_base.to_string();
        return Err(ModelFileError::BadValue {
            key: "rope base".to_owned(),
            expected: "above 1",
            found,
        });
    }
    Ok(())
}

/// Checks that the embedding has a row for every token.
pub(crate) fn check_vocabulary(tokenizer: &Tokenizer, rows: usize) -> Result<(), ModelFileError> {
    if tokenizer.vocab_size() > rows || rows > limits::MAX_VOCAB {
        let (key, expected) = (
            "vocabulary size".to_owned(),
            "at least the tokenizer's, at most 1048576",
        );
        return Err(ModelFileError::BadValue {
            key,
            expected,
            found: rows.to_string(),
        });
    }
    Ok(())
}

/// Checks a size of the architecture: above 0, and within [`limits::MAX_SIZE`].
pub(crate) fn size(key: &str, value: u64) -> Result<usize, ModelFileError> {
    match usize::try_from(value) {
        Ok(size) if size > 0 && value <= limits::MAX_SIZE => Ok(size),
        _ => Err(ModelFileError::BadValue {
            key: key.to_owned(),
            expected: "1 to 2147483648",
            found: value.to_string(),
        }),
    }
}

fn all(config: &ModelConfig) -> impl Iterator<Item = TensorName> {
    let layers =
        (0..config.n_layers).flat_map(|layer_idx| LayerTensor::ALL.map(|tensor| TensorName::Layer(layer_idx, tensor)));
    let output = (!config.tied_embedding).then_some(TensorName::Output);
    [TensorName::Embedding, TensorName::OutputNorm]
        .into_iter()
        .chain(output)
        .chain(layers)
}

/// Returns rows and columns by the configuration.
fn shape(config: &ModelConfig, tensor: TensorName) -> [usize; 2] {
    let hidden = config.hidden_size;
    match tensor {
        TensorName::Embedding | TensorName::Output => [config.vocab_size, hidden],
        TensorName::OutputNorm => [1, hidden],
        TensorName::Layer(_, tensor) => match tensor {
            LayerTensor::AttnNorm | LayerTensor::FfnNorm => [1, hidden],
            LayerTensor::Query => [config.query_size(), hidden],
            LayerTensor::Key | LayerTensor::Value => [config.kv_size(), hidden],
            LayerTensor::AttnOutput => [hidden, config.query_size()],
            LayerTensor::FfnGate | LayerTensor::FfnUp => [config.intermediate_size, hidden],
            LayerTensor::FfnDown => [hidden, config.intermediate_size],
        },
    }
}

impl Naming {
    pub(crate) fn name(self, tensor: TensorName) -> String {
        match (self, tensor) {
            (Self::Gguf, TensorName::Embedding) => "token_embd.weight".to_owned(),
            (Self::Gguf, TensorName::OutputNorm) => "output_norm.weight".to_owned(),
            (Self::Gguf, TensorName::Output) => "output.weight".to_owned(),
            (Self::Gguf, TensorName::Layer(idx, tensor)) => format!("blk.{idx}.{}.weight", gguf_layer_name(tensor)),
            (Self::HuggingFace, TensorName::Embedding) => "model.embed_tokens.weight".to_owned(),
            (Self::HuggingFace, TensorName::OutputNorm) => "model.norm.weight".to_owned(),
            (Self::HuggingFace, TensorName::Output) => "lm_head.weight".to_owned(),
            (Self::HuggingFace, TensorName::Layer(idx, tensor)) => {
                format!("model.layers.{idx}.{}.weight", hf_layer_name(tensor))
            }
        }
    }

    /// Returns true for tensors that are not weights or that duplicate another one.
    fn is_ignorable(self, name: &str, config: &ModelConfig) -> bool {
        let stored_angles = name.ends_with(".rotary_emb.inv_freq");
        let second_embedding = config.tied_embedding && name == "lm_head.weight";
        self == Self::HuggingFace && (stored_angles || second_embedding)
    }
}

fn unexpected(name: String) -> ModelFileError {
    if name.ends_with(".bias") {
        return ModelFileError::Unsupported {
            feature: "bias",
            value: name,
            supported: "matrices without one",
        };
    }
    if name.starts_with("rope_") {
        return ModelFileError::Unsupported {
            feature: "rope scaling",
            value: name,
            supported: "plain rotary positions",
        };
    }
    ModelFileError::UnexpectedTensor { name }
}

fn gguf_layer_name(tensor: LayerTensor) -> &'static str {
    match tensor {
        LayerTensor::AttnNorm => "attn_norm",
        LayerTensor::Query => "attn_q",
        LayerTensor::Key => "attn_k",
        LayerTensor::Value => "attn_v",
        LayerTensor::AttnOutput => "attn_output",
        LayerTensor::FfnNorm => "ffn_norm",
        LayerTensor::FfnGate => "ffn_gate",
        LayerTensor::FfnUp => "ffn_up",
        LayerTensor::FfnDown => "ffn_down",
    }
}

fn hf_layer_name(tensor: LayerTensor) -> &'static str {
    match tensor {
        LayerTensor::AttnNorm => "input_layernorm",
        LayerTensor::Query => "self_attn.q_proj",
        LayerTensor::Key => "self_attn.k_proj",
        LayerTensor::Value => "self_attn.v_proj",
        LayerTensor::AttnOutput => "self_attn.o_proj",
        LayerTensor::FfnNorm => "post_attention_layernorm",
        LayerTensor::FfnGate => "mlp.gate_proj",
        LayerTensor::FfnUp => "mlp.up_proj",
        LayerTensor::FfnDown => "mlp.down_proj",
    }
}
