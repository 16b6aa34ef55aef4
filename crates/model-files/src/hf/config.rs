//! The JSON files of a Hugging Face folder: the architecture and the special tokens.

use std::{fs::File, io::Read, path::Path};

use serde::Deserialize;

use crate::{
    ModelConfig, ModelFileError, RopeLayout, Tokenizer,
    architecture::{check_sizes, check_vocabulary, size},
    limits,
};

/// The architecture.
pub(crate) const CONFIG: &str = "config.json";
/// The tokenizer.
pub(crate) const TOKENIZER: &str = "tokenizer.json";
/// The roles of tokens, and often the chat template.
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// The chat template, if it has a file of its own.
const TEMPLATE: &str = "chat_template.jinja";
/// The tokens that end a generation.
const GENERATION_CONFIG: &str = "generation_config.json";

/// The special tokens and the template of a folder.
#[derive(Debug, Default)]
pub(crate) struct SpecialTokens {
    pub(crate) bos_text: String,
    pub(crate) eos_text: String,
    pub(crate) template: Option<String>,
    add_bos: bool,
}

#[derive(Deserialize)]
struct ConfigJson {
    model_type: String,
    hidden_size: u64,
    intermediate_size: u64,
    num_hidden_layers: u64,
    num_attention_heads: u64,
    num_key_value_heads: Option<u64>,
    head_dim: Option<u64>,
    vocab_size: u64,
    max_position_embeddings: u64,
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_scaling: Option<RopeJson>,
    rope_parameters: Option<RopeJson>,
    partial_rotary_factor: Option<f64>,
    hidden_act: Option<String>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    sliding_window: Option<u64>,
    quantization_config: Option<serde::de::IgnoredAny>,
    eos_token_id: Option<Ids>,
}

/// `rope_scaling`, or `rope_parameters` in newer files.
#[derive(Deserialize)]
struct RopeJson {
    #[serde(alias = "type")]
    rope_type: Option<String>,
    rope_theta: Option<f64>,
}

#[derive(Deserialize)]
struct GenerationJson {
    eos_token_id: Option<Ids>,
}

#[derive(Deserialize)]
struct TokenizerConfigJson {
    bos_token: Option<TokenText>,
    eos_token: Option<TokenText>,
    add_bos_token: Option<bool>,
    tokenizer_class: Option<String>,
    chat_template: Option<TemplateJson>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ids {
    One(u32),
    Many(Vec<u32>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TokenText {
    Plain(String),
    Token { content: String },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TemplateJson {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

/// Reads a file of at most `limit` bytes; a missing one is an error.
pub(crate) fn read_required(folder: &Path, file: &'static str, limit: u64) -> Result<Vec<u8>, ModelFileError> {
    let read = read_optional(folder, file, limit)?;
    read.ok_or_else(|| ModelFileError::MissingFile {
        path: folder.to_owned(),
        file,
    })
}

/// Reads a file of at most `limit` bytes, if it exists.
pub(crate) fn read_optional(folder: &Path, file: &str, limit: u64) -> Result<Option<Vec<u8>>, ModelFileError> {
    let path = folder.join(file);
    let open = |source| ModelFileError::Open {
        path: path.clone(),
        source,
    };
    let handle = match File::open(&path) {
        Ok(handle) => handle,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(open(error)),
    };
    let metadata = handle.metadata().map_err(open)?;
    if !metadata.is_file() {
        return Err(ModelFileError::NotAFile { path });
    }
    let mut bytes = Vec::new();
    if metadata.len() <= limit {
        handle.take(limit + 1).read_to_end(&mut bytes).map_err(open)?;
    }
    let count = metadata.len().max(bytes.len() as u64);
    if count > limit {
        return Err(ModelFileError::TooMany {
            what: "bytes",
            count,
            limit,
        }
        .within(&path));
    }
    Ok(Some(bytes))
}

/// Reads the special tokens and the chat template of a folder.
pub(crate) fn special_tokens(folder: &Path) -> Result<SpecialTokens, ModelFileError> {
    let mut special = SpecialTokens::default();
    if let Some(json) = read_optional(folder, TOKENIZER_CONFIG, limits::MAX_CONFIG_BYTES)? {
        let config: TokenizerConfigJson = parse(folder, TOKENIZER_CONFIG, &json)?;
        special.bos_text = config.bos_token.map(TokenText::text).unwrap_or_default();
        special.eos_text = config.eos_token.map(TokenText::text).unwrap_or_default();
        let llama_default = config
            .tokenizer_class
            .is_some_and(|class| class.starts_with("LlamaTokenizer"));
        special.add_bos = config.add_bos_token.unwrap_or(llama_default);
        special.template = match config.chat_template {
            None => None,
            Some(TemplateJson::One(template)) => Some(template),
            Some(TemplateJson::Named(all)) => all
                .into_iter()
                .find(|named| named.name == "default")
                .map(|named| named.template),
        };
    }
    if let Some(bytes) = read_optional(folder, TEMPLATE, limits::MAX_TEMPLATE_BYTES)? {
        let text = String::from_utf8(bytes);
        let not_utf8 = |_| ModelFileError::NotUtf8 {
            what: "the chat template".to_owned(),
        };
        special.template = Some(
            text.map_err(not_utf8)
                .map_err(|error| error.within(&folder.join(TEMPLATE)))?,
        );
    }
    Ok(special)
}

/// Reads the architecture from `config.json`.
pub(crate) fn read(
    folder: &Path,
    json: &[u8],
    tokenizer: &Tokenizer,
    special: &SpecialTokens,
) -> Result<ModelConfig, ModelFileError> {
    let file: ConfigJson = parse(folder, CONFIG, json)?;
    let mut stop_ids = tokenizer.end_tokens();
    if let Some(json) = read_optional(folder, GENERATION_CONFIG, limits::MAX_CONFIG_BYTES)? {
        let generation: GenerationJson = parse(folder, GENERATION_CONFIG, &json)?;
        stop_ids.extend(generation.eos_token_id.iter().flat_map(Ids::all));
    }
    stop_ids.extend(file.eos_token_id.iter().flat_map(Ids::all));
    stop_ids.extend(tokenizer.control_id(&special.eos_text));
    stop_ids.sort_unstable();
    stop_ids.dedup();
    let bos = if special.add_bos {
        tokenizer.control_id(&special.bos_text)
    } else {
        None
    };
    config(&file, tokenizer, bos, stop_ids).map_err(|error| error.within(&folder.join(CONFIG)))
}

fn config(
    file: &ConfigJson,
    tokenizer: &Tokenizer,
    bos: Option<u32>,
    stop_ids: Vec<u32>,
) -> Result<ModelConfig, ModelFileError> {
    check_features(file)?;
    let rope = file.rope_parameters.as_ref().and_then(|rope| rope.rope_theta);
    let n_heads = size("num_attention_heads", file.num_attention_heads)?;
    let hidden_size = size("hidden_size", file.hidden_size)?;
    let config = ModelConfig {
        n_layers: size("num_hidden_layers", file.num_hidden_layers)?,
        hidden_size,
        n_heads,
        n_kv_heads: file
            .num_key_value_heads
            .map_or(Ok(n_heads), |value| size("num_key_value_heads", value))?,
        head_dim: head_dim(file, hidden_size, n_heads)?,
        intermediate_size: size("intermediate_size", file.intermediate_size)?,
        vocab_size: size("vocab_size", file.vocab_size)?,
        context_tokens: size("max_position_embeddings", file.max_position_embeddings)?,
        rope_base: file.rope_theta.or(rope).unwrap_or(10_000.0),
        norm_eps: file.rms_norm_eps as f32,
        tied_embedding: file.tie_word_embeddings,
        rope_layout: RopeLayout::HalfSplit,
        bos,
        stop_ids,
    };
    check_sizes(&config)?;
    check_vocabulary(tokenizer, config.vocab_size)?;
    match config.stop_ids.iter().find(|id| **id as usize >= config.vocab_size) {
        None if config.stop_ids.is_empty() => Err(ModelFileError::MissingKey {
            key: "eos_token_id".to_owned(),
        }),
        None => Ok(config),
        Some(id) => {
            let (key, expected) = ("eos_token_id".to_owned(), "an id of the vocabulary");
            Err(ModelFileError::BadValue {
                key,
                expected,
                found: id.to_string(),
            })
        }
    }
}

fn head_dim(file: &ConfigJson, hidden_size: usize, n_heads: usize) -> Result<usize, ModelFileError> {
    match file.head_dim {
        Some(head_dim) => size("head_dim", head_dim),
        None if hidden_size.is_multiple_of(n_heads) => Ok(hidden_size / n_heads),
        None => {
            let (key, expected) = ("num_attention_heads".to_owned(), "a divisor of hidden_size");
            Err(ModelFileError::BadValue {
                key,
                expected,
                found: n_heads.to_string(),
            })
        }
    }
}

/// Refuses every feature that would change what is computed and that isn't implemented. Mistral's sliding window is
/// accepted: the cache's window replaces it.
fn check_features(file: &ConfigJson) -> Result<(), ModelFileError> {
    let refuse = |feature, value: String, supported| {
        Err(ModelFileError::Unsupported {
            feature,
            value,
            supported,
        })
    };
    let mistral = file.model_type == "mistral";
    if !mistral && file.model_type != "llama" {
        return refuse("model type", file.model_type.clone(), "llama and mistral are");
    }
    if let (false, Some(window)) = (mistral, file.sliding_window) {
        return refuse(
            "sliding window",
            window.to_string(),
            "only Mistral's is known to be safe to leave out",
        );
    }
    for rope in [&file.rope_scaling, &file.rope_parameters].into_iter().flatten() {
        let kind = rope.rope_type.as_deref().unwrap_or("default");
        if kind != "default" {
            return refuse("rope scaling", kind.to_owned(), "plain rotary positions are");
        }
    }
    if file.partial_rotary_factor.is_some_and(|factor| factor != 1.0) {
        return refuse(
            "rotary positions",
            "partial".to_owned(),
            "heads that are rotated whole are",
        );
    }
    if let Some(activation) = file.hidden_act.as_deref().filter(|name| *name != "silu") {
        return refuse("activation", activation.to_owned(), "silu is");
    }
    if file.attention_bias || file.mlp_bias {
        return refuse(
            "bias",
            "in attention or feed-forward".to_owned(),
            "matrices without one are",
        );
    }
    if file.quantization_config.is_some() {
        return refuse(
            "quantization",
            "quantization_config".to_owned(),
            "F32, F16 and BF16 are",
        );
    }
    Ok(())
}

fn parse<'de, T: Deserialize<'de>>(folder: &Path, file: &str, json: &'de [u8]) -> Result<T, ModelFileError> {
    serde_json::from_slice(json).map_err(|source| ModelFileError::Json { source }.within(&folder.join(file)))
}

impl Ids {
    fn all(&self) -> Vec<u32> {
        match self {
            Self::One(id) => vec![*id],
            Self::Many(ids) => ids.clone(),
        }
    }
}

impl TokenText {
    fn text(self) -> String {
        match self {
            Self::Plain(text) | Self::Token { content: text } => text,
        }
    }
}
