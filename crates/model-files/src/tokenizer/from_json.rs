//! Builds a tokenizer from `tokenizer.json`.
//!
//! Only what turns text into ids is read. Truncation and padding, which would silently cut or fill a prompt, and the
//! post-processor, which adds tokens that a chat template writes itself, are ignored.

use std::panic::catch_unwind;

use serde::{Deserialize, de::IgnoredAny};
use tokenizers::{DecoderWrapper, Model, ModelWrapper, NormalizerWrapper, PreTokenizerWrapper, models::bpe::BPE};

use super::{
    Tokenizer,
    added::{AddedToken, AddedTokens},
    pipeline::Pipeline,
    token_bytes::{Alphabet, TokenBytes},
};
use crate::ModelFileError;

#[derive(Deserialize)]
struct TokenizerJson {
    #[serde(default)]
    added_tokens: Vec<AddedTokenJson>,
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: Option<PreTokenizerWrapper>,
    decoder: Option<DecoderWrapper>,
    model: ModelWrapper,
}

#[derive(Deserialize)]
struct AddedTokenJson {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
}

impl Tokenizer {
    /// Builds the tokenizer that a `tokenizer.json` describes.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, ModelFileError> {
        let file = parse(json)?;
        let alphabet = alphabet(file.decoder.as_ref())?;
        let model = bpe(&file.model)?;
        let unknown = model.unk_token.as_deref().and_then(|text| model.token_to_id(text));
        let added = added_tokens(file.added_tokens, model)?;
        let vocabulary = model.get_vocab();
        let bytes = TokenBytes::new(
            vocabulary.iter().map(|(text, id)| (text.as_str(), *id)),
            &added,
            alphabet,
        )?;
        let pipeline = Pipeline::new(file.model, file.normalizer, file.pre_tokenizer);
        Ok(Self::new(pipeline, AddedTokens::new(added, unknown), bytes))
    }
}

/// Parses the file. The JSON is validated first, since some readers of the `tokenizers` crate panic on anything else;
/// panics of those that still do (on an invalid Precompiled normaliser) are caught here.
fn parse(json: &[u8]) -> Result<TokenizerJson, ModelFileError> {
    let bad_json = |source| ModelFileError::Json { source };
    serde_json::from_slice::<IgnoredAny>(json).map_err(bad_json)?;
    match catch_unwind(|| serde_json::from_slice(json)) {
        Ok(parsed) => parsed.map_err(bad_json),
        Err(_) => Err(ModelFileError::Tokenizer {
            reason: "it is described in a way that can't be read".to_owned(),
        }),
    }
}

fn bpe(model: &ModelWrapper) -> Result<&BPE, ModelFileError> {
    let unsupported = |feature, value: &str| {
        Err(ModelFileError::Unsupported {
            feature,
            value: value.to_owned(),
            supported: "BPE without dropout is",
        })
    };
    match model {
        ModelWrapper::BPE(bpe) if bpe.dropout.unwrap_or(0.0) > 0.0 => {
            unsupported("tokenizer model", "BPE with dropout")
        }
        ModelWrapper::BPE(bpe) if bpe.continuing_subword_prefix.is_some() || bpe.end_of_word_suffix.is_some() => {
            unsupported("tokenizer model", "BPE with marks inside or after words")
        }
        ModelWrapper::BPE(bpe) => Ok(bpe),
        ModelWrapper::Unigram(_) => unsupported("tokenizer model", "Unigram"),
        ModelWrapper::WordPiece(_) => unsupported("tokenizer model", "WordPiece"),
        ModelWrapper::WordLevel(_) => unsupported("tokenizer model", "WordLevel"),
    }
}

fn added_tokens(tokens: Vec<AddedTokenJson>, model: &BPE) -> Result<Vec<AddedToken>, ModelFileError> {
    let checked = tokens.into_iter().map(|token| {
        if model.token_to_id(&token.content).is_some_and(|id| id != token.id) {
            let reason = format!("added token \"{}\" has two ids", token.content);
            return Err(ModelFileError::Tokenizer { reason });
        }
        if model.id_to_token(token.id).is_some_and(|text| text != token.content) {
            let reason = format!("added token \"{}\" has the id of another token", token.content);
            return Err(ModelFileError::Tokenizer { reason });
        }
        let AddedTokenJson {
            id,
            content: text,
            special: control,
            lstrip,
            rstrip,
        } = token;
        Ok(AddedToken {
            id,
            text,
            control,
            lstrip,
            rstrip,
        })
    });
    checked.collect()
}

/// Returns how tokens stand for bytes, according to the decoder.
fn alphabet(decoder: Option<&DecoderWrapper>) -> Result<Alphabet, ModelFileError> {
    match decoder {
        Some(DecoderWrapper::ByteLevel(_)) => Ok(Alphabet::ByteLevel),
        Some(DecoderWrapper::Metaspace(_) | DecoderWrapper::ByteFallback(_)) => Ok(Alphabet::SentencePiece),
        Some(DecoderWrapper::Sequence(steps)) => {
            let steps = steps.get_decoders();
            if steps.iter().any(|step| matches!(step, DecoderWrapper::ByteLevel(_))) {
                Ok(Alphabet::ByteLevel)
            } else if steps.iter().any(|step| alphabet(Some(step)).is_ok()) {
                Ok(Alphabet::SentencePiece)
            } else {
                Err(unsupported_decoder())
            }
        }
        _ => Err(unsupported_decoder()),
    }
}

fn unsupported_decoder() -> ModelFileError {
    ModelFileError::Unsupported {
        feature: "tokenizer decoder",
        value: "of this kind".to_owned(),
        supported: "ByteLevel, Metaspace and ByteFallback are",
    }
}
