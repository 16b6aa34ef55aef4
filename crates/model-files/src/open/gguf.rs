//! Builds a model of the Llama family from a GGUF header.

use std::{collections::HashMap, path::Path};

use memmap2::Mmap;

use crate::{
    ChatFormat, ModelConfig, ModelFileError, ModelFiles, RopeLayout, TensorName, Tokenizer,
    architecture::{Naming, check_sizes, check_vocabulary, resolve_tensors, size},
    files::{TensorLocation, fingerprint},
    gguf::{Gguf, Metadata, TensorInfo},
    mapped::map_file,
};

/// The one supported architecture; Llama, SmolLM2 and Mistral files all declare it.
const ARCHITECTURE: &str = "llama";

/// The parts of a model that its header defines.
pub(crate) struct ModelParts {
    pub(crate) config: ModelConfig,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) chat_format: Option<ChatFormat>,
    tensors: HashMap<TensorName, TensorLocation>,
}

/// Opens a GGUF file as a model.
pub(crate) fn open(path: &Path) -> Result<ModelFiles, ModelFileError> {
    let map = map_file(path)?;
    let gguf = Gguf::parse(&map)?;
    let ModelParts {
        config,
        tokenizer,
        chat_format,
        tensors,
    } = read(&gguf)?;
    let name = match gguf.metadata.text("general.name")? {
        Some(name) if !name.trim().is_empty() => name.to_owned(),
        _ => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
    };
    let header = gguf.header.to_vec();
    let maps: Vec<Mmap> = vec![map];
    let fingerprint = fingerprint(&[&header], &maps, &tensors);
    Ok(ModelFiles {
        config,
        tokenizer,
        chat_format,
        name,
        maps,
        tensors,
        fingerprint,
    })
}

/// Reads the parts of a model of the Llama family from a header.
pub(crate) fn read(gguf: &Gguf<'_>) -> Result<ModelParts, ModelFileError> {
    let metadata = &gguf.metadata;
    check_features(metadata)?;
    let tokenizer = Tokenizer::from_gguf(metadata)?;
    let config = config(gguf, &tokenizer)?;
    let tensors = resolve_tensors(&config, Naming::Gguf, tensor_locations(gguf))?;
    let chat_format = chat_format(metadata, &tokenizer)?;
    Ok(ModelParts {
        config,
        tokenizer,
        chat_format,
        tensors,
    })
}

fn tensor_locations(gguf: &Gguf<'_>) -> HashMap<String, TensorLocation> {
    let locate = |tensor: &TensorInfo<'_>| TensorLocation {
        map: 0,
        rows: tensor.rows,
        cols: tensor.cols,
        block_type: tensor.block_type,
        span: tensor.span.clone(),
    };
    gguf.tensors
        .iter()
        .map(|tensor| (tensor.name.to_owned(), locate(tensor)))
        .collect()
}

/// Refuses every feature that would change what is computed and that isn't implemented. A sliding window is accepted:
/// Mistral works without its own, since the cache's window replaces it.
fn check_features(metadata: &Metadata<'_>) -> Result<(), ModelFileError> {
    let architecture = metadata.text("general.architecture")?;
    if architecture != Some(ARCHITECTURE) {
        let value = architecture.unwrap_or("(none)").to_owned();
        return Err(ModelFileError::Unsupported {
            feature: "architecture",
            value,
            supported: "llama is",
        });
    }
    let scaling = metadata.text("llama.rope.scaling.type")?.unwrap_or("none");
    if scaling != "none" {
        let supported = "plain rotary positions are";
        return Err(ModelFileError::Unsupported {
            feature: "rope scaling",
            value: scaling.to_owned(),
            supported,
        });
    }
    for key in ["llama.rope.scaling.factor", "llama.rope.scale_linear"] {
        let factor = metadata.float(key)?.unwrap_or(1.0);
        // Converters write 0 for "not scaled".
        if factor != 1.0 && factor != 0.0 {
            let supported = "plain rotary positions are";
            return Err(ModelFileError::Unsupported {
                feature: "rope scaling",
                value: factor.to_string(),
                supported,
            });
        }
    }
    let experts = metadata.unsigned("llama.expert_count")?.unwrap_or(0);
    if experts > 0 {
        let supported = "dense feed-forward layers are";
        return Err(ModelFileError::Unsupported {
            feature: "number of experts",
            value: experts.to_string(),
            supported,
        });
    }
    Ok(())
}

fn config(gguf: &Gguf<'_>, tokenizer: &Tokenizer) -> Result<ModelConfig, ModelFileError> {
    let metadata = &gguf.metadata;
    let n_heads = required(metadata, "llama.attention.head_count")?;
    let hidden_size = required(metadata, "llama.embedding_length")?;
    let embedding = gguf.tensors.iter().find(|tensor| tensor.name == "token_embd.weight");
    let embedding = embedding.ok_or_else(|| ModelFileError::MissingTensor {
        name: "token_embd.weight".to_owned(),
    })?;
    let config = ModelConfig {
        n_layers: required(metadata, "llama.block_count")?,
        hidden_size,
        n_heads,
        n_kv_heads: optional(metadata, "llama.attention.head_count_kv")?.unwrap_or(n_heads),
        head_dim: head_dim(metadata, hidden_size, n_heads)?,
        intermediate_size: required(metadata, "llama.feed_forward_length")?,
        vocab_size: embedding.rows,
        context_tokens: required(metadata, "llama.context_length")?,
        rope_base: metadata.float("llama.rope.freq_base")?.unwrap_or(10_000.0),
        norm_eps: {
            let key = "llama.attention.layer_norm_rms_epsilon";
            metadata
                .float(key)?
                .ok_or_else(|| ModelFileError::MissingKey { key: key.to_owned() })? as f32
        },
        tied_embedding: !gguf.tensors.iter().any(|tensor| tensor.name == "output.weight"),
        rope_layout: RopeLayout::Interleaved,
        bos: bos(metadata, tokenizer)?,
        stop_ids: stop_ids(metadata, tokenizer)?,
    };
    check_sizes(&config)?;
    check_vocabulary(tokenizer, config.vocab_size)?;
    Ok(config)
}

/// Returns the size of a head. Keys and values must have the same size, and all of it must be rotated.
fn head_dim(metadata: &Metadata<'_>, hidden_size: usize, n_heads: usize) -> Result<usize, ModelFileError> {
    let head_dim = match optional(metadata, "llama.attention.key_length")? {
        Some(head_dim) => head_dim,
        None if hidden_size.is_multiple_of(n_heads) => hidden_size / n_heads,
        None => {
            let (key, expected) = (
                "llama.attention.head_count".to_owned(),
                "a divisor of the embedding length",
            );
            return Err(ModelFileError::BadValue {
                key,
                expected,
                found: n_heads.to_string(),
            });
        }
    };
    for key in ["llama.attention.value_length", "llama.rope.dimension_count"] {
        let size = optional(metadata, key)?.unwrap_or(head_dim);
        if size != head_dim {
            let supported = "heads that are rotated whole, with values as long as keys, are";
            return Err(ModelFileError::Unsupported {
                feature: "head size",
                value: format!("{key} {size}"),
                supported,
            });
        }
    }
    Ok(head_dim)
}

fn bos(metadata: &Metadata<'_>, tokenizer: &Tokenizer) -> Result<Option<u32>, ModelFileError> {
    let sentence_pieces = metadata.text("tokenizer.ggml.model")? == Some("llama");
    let wanted = metadata
        .bool("tokenizer.ggml.add_bos_token")?
        .unwrap_or(sentence_pieces);
    if wanted {
        token_id(metadata, tokenizer, "tokenizer.ggml.bos_token_id")
    } else {
        Ok(None)
    }
}

fn stop_ids(metadata: &Metadata<'_>, tokenizer: &Tokenizer) -> Result<Vec<u32>, ModelFileError> {
    let mut ids = tokenizer.end_tokens();
    for key in [
        "tokenizer.ggml.eos_token_id",
        "tokenizer.ggml.eot_token_id",
        "tokenizer.ggml.eom_token_id",
    ] {
        ids.extend(token_id(metadata, tokenizer, key)?);
    }
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Err(ModelFileError::MissingKey {
            key: "tokenizer.ggml.eos_token_id".to_owned(),
        });
    }
    Ok(ids)
}

fn chat_format(metadata: &Metadata<'_>, tokenizer: &Tokenizer) -> Result<Option<ChatFormat>, ModelFileError> {
    let Some(template) = metadata.text("tokenizer.chat_template")? else {
        return Ok(None);
    };
    let text = |key| -> Result<String, ModelFileError> {
        let id = token_id(metadata, tokenizer, key)?;
        Ok(id.map(|id| tokenizer.decode(&[id])).unwrap_or_default())
    };
    let (bos, eos) = (
        text("tokenizer.ggml.bos_token_id")?,
        text("tokenizer.ggml.eos_token_id")?,
    );
    ChatFormat::compile(template, &bos, &eos).map(Some)
}

fn token_id(metadata: &Metadata<'_>, tokenizer: &Tokenizer, key: &str) -> Result<Option<u32>, ModelFileError> {
    let Some(id) = metadata.unsigned(key)? else {
        return Ok(None);
    };
    match u32::try_from(id) {
        Ok(id) if (id as usize) < tokenizer.vocab_size() => Ok(Some(id)),
        _ => {
            let (key, expected) = (key.to_owned(), "an id of the vocabulary");
            Err(ModelFileError::BadValue {
                key,
                expected,
                found: id.to_string(),
            })
        }
    }
}

fn optional(metadata: &Metadata<'_>, key: &str) -> Result<Option<usize>, ModelFileError> {
    metadata.unsigned(key)?.map(|value| size(key, value)).transpose()
}

fn required(metadata: &Metadata<'_>, key: &str) -> Result<usize, ModelFileError> {
    optional(metadata, key)?.ok_or_else(|| ModelFileError::MissingKey { key: key.to_owned() })
}
