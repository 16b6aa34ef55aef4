//! Builds a tokenizer from GGUF metadata: GPT-2's byte-level BPE, and SentencePiece's BPE with byte fallback.

use std::collections::HashMap;

use tokenizers::{
    ModelWrapper, NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior,
    models::bpe::{BpeBuilder, Merges, Vocab},
    normalizers::{Prepend, Replace, Sequence as NormalizerSequence},
    pre_tokenizers::{
        byte_level::ByteLevel,
        digits::Digits,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

use super::{
    Tokenizer,
    added::{AddedToken, AddedTokens},
    pipeline::Pipeline,
    token_bytes::{Alphabet, TokenBytes},
};
use crate::{ModelFileError, gguf::Metadata, limits};

/// `tokenizer.ggml.token_type` of the token for text that can't be encoded.
const UNKNOWN: i32 = 2;
/// `tokenizer.ggml.token_type` of a token that steers the model.
const CONTROL: i32 = 3;
/// `tokenizer.ggml.token_type` of a token that was added to the vocabulary.
const USER_DEFINED: i32 = 4;

/// How Llama 3 splits a text into words (its published pattern).
const LLAMA3_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The vocabulary in the metadata.
struct Vocabulary<'a> {
    tokens: Vec<&'a str>,
    types: Vec<i32>,
}

impl Tokenizer {
    /// Builds the tokenizer that `tokenizer.ggml.*` describes.
    pub(crate) fn from_gguf(metadata: &Metadata<'_>) -> Result<Self, ModelFileError> {
        const KEY: &str = "tokenizer.ggml.model";
        let vocabulary = Vocabulary::read(metadata)?;
        match metadata.text(KEY)? {
            Some("gpt2") => byte_level(metadata, &vocabulary),
            Some("llama") => sentence_piece(metadata, &vocabulary),
            Some(other) => {
                let (value, supported) = (other.to_owned(), "gpt2 and llama are");
                Err(ModelFileError::Unsupported {
                    feature: "tokenizer model",
                    value,
                    supported,
                })
            }
            None => Err(ModelFileError::MissingKey { key: KEY.to_owned() }),
        }
    }
}

impl<'a> Vocabulary<'a> {
    fn read(metadata: &Metadata<'a>) -> Result<Self, ModelFileError> {
        const TOKENS: &str = "tokenizer.ggml.tokens";
        const TYPES: &str = "tokenizer.ggml.token_type";
        let missing = |key: &str| ModelFileError::MissingKey { key: key.to_owned() };
        let tokens = metadata.strings(TOKENS)?.ok_or_else(|| missing(TOKENS))?;
        if tokens.len() > limits::MAX_VOCAB {
            let (count, limit) = (tokens.len() as u64, limits::MAX_VOCAB as u64);
            return Err(ModelFileError::TooMany {
                what: "tokens",
                count,
                limit,
            });
        }
        let types = metadata.i32s(TYPES)?.ok_or_else(|| missing(TYPES))?;
        if types.len() != tokens.len() {
            let (expected, found) = ("one type for each token", types.len().to_string());
            return Err(ModelFileError::BadValue {
                key: TYPES.to_owned(),
                expected,
                found,
            });
        }
        Ok(Self { tokens, types })
    }

    /// Iterates over tokens with their ids and types.
    fn iter(&self) -> impl Iterator<Item = (&'a str, u32, i32)> {
        self.tokens
            .iter()
            .zip(&self.types)
            .enumerate()
            .map(|(id, (text, kind))| (*text, id as u32, *kind))
    }

    fn added(&self) -> Vec<AddedToken> {
        let added = self
            .iter()
            .filter(|(_, _, kind)| matches!(*kind, UNKNOWN | CONTROL | USER_DEFINED));
        let token = |(text, id, kind): (&str, u32, i32)| AddedToken {
            id,
            text: text.to_owned(),
            control: kind != USER_DEFINED,
            lstrip: false,
            rstrip: false,
        };
        added.map(token).collect()
    }

    fn tokenizer(&self, pipeline: Pipeline, alphabet: Alphabet) -> Result<Tokenizer, ModelFileError> {
        let added = self.added();
        let unknown = self.iter().find(|(_, _, kind)| *kind == UNKNOWN).map(|(_, id, _)| id);
        let bytes = TokenBytes::new(self.iter().map(|(text, id, _)| (text, id)), &added, alphabet)?;
        Ok(Tokenizer::new(pipeline, AddedTokens::new(added, unknown), bytes))
    }
}

fn byte_level(metadata: &Metadata<'_>, vocabulary: &Vocabulary<'_>) -> Result<Tokenizer, ModelFileError> {
    const MERGES: &str = "tokenizer.ggml.merges";
    let lines = metadata.strings(MERGES)?;
    let lines = lines.ok_or_else(|| ModelFileError::MissingKey { key: MERGES.to_owned() })?;
    let mut merges = Merges::with_capacity(lines.len());
    for line in lines {
        let Some((left, right)) = line.split_once(' ') else {
            let (key, expected) = (MERGES.to_owned(), "two texts with a space between them");
            return Err(ModelFileError::BadValue {
                key,
                expected,
                found: format!("{line:?}"),
            });
        };
        merges.push((left.to_owned(), right.to_owned()));
    }
    let (pre_tokenizer, whole_words) = pre_tokenizer(metadata)?;
    let vocab: Vocab = vocabulary.iter().map(|(text, id, _)| (text.to_owned(), id)).collect();
    let builder = BpeBuilder::new()
        .vocab_and_merges(vocab, merges)
        .ignore_merges(whole_words);
    let model = builder.build().map_err(tokenizer_error)?;
    let pipeline = Pipeline::new(ModelWrapper::BPE(model), None, Some(pre_tokenizer));
    vocabulary.tokenizer(pipeline, Alphabet::ByteLevel)
}

/// Returns how text is split into words, and whether a word that is a token is taken without merging.
fn pre_tokenizer(metadata: &Metadata<'_>) -> Result<(PreTokenizerWrapper, bool), ModelFileError> {
    const KEY: &str = "tokenizer.ggml.pre";
    let byte_level = |use_regex| PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, use_regex));
    let both = |first, second| PreTokenizerWrapper::Sequence(Sequence::new(vec![first, second]));
    match metadata.text(KEY)? {
        Some("smollm") => Ok((
            both(PreTokenizerWrapper::Digits(Digits::new(true)), byte_level(true)),
            false,
        )),
        Some("gpt-2" | "default") => Ok((byte_level(true), false)),
        Some("llama-bpe" | "llama3" | "llama-v3") => {
            let pattern = SplitPattern::Regex(LLAMA3_PATTERN.to_owned());
            let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(tokenizer_error)?;
            Ok((both(PreTokenizerWrapper::Split(split), byte_level(false)), true))
        }
        Some(other) => {
            let (value, supported) = (other.to_owned(), "smollm, gpt-2, default and llama-bpe are");
            Err(ModelFileError::Unsupported {
                feature: "pre-tokenizer",
                value,
                supported,
            })
        }
        None => Err(ModelFileError::MissingKey { key: KEY.to_owned() }),
    }
}

fn sentence_piece(metadata: &Metadata<'_>, vocabulary: &Vocabulary<'_>) -> Result<Tokenizer, ModelFileError> {
    const SCORES: &str = "tokenizer.ggml.scores";
    let scores = metadata.f32s(SCORES)?;
    let scores = scores.ok_or_else(|| ModelFileError::MissingKey { key: SCORES.to_owned() })?;
    if scores.len() != vocabulary.tokens.len() {
        let (expected, found) = ("one score for each token", scores.len().to_string());
        return Err(ModelFileError::BadValue {
            key: SCORES.to_owned(),
            expected,
            found,
        });
    }
    let merges = merges_by_score(vocabulary, &scores)?;
    let vocab: Vocab = vocabulary.iter().map(|(text, id, _)| (text.to_owned(), id)).collect();
    let mut builder = BpeBuilder::new()
        .vocab_and_merges(vocab, merges)
        .byte_fallback(true)
        .fuse_unk(true);
    if let Some((text, _, _)) = vocabulary.iter().find(|(_, _, kind)| *kind == UNKNOWN) {
        builder = builder.unk_token(text.to_owned());
    }
    let model = builder.build().map_err(tokenizer_error)?;
    let replace = Replace::new(" ", "▁").map_err(tokenizer_error)?;
    let mut steps = vec![NormalizerWrapper::Replace(replace)];
    if metadata.bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true) {
        steps.insert(0, NormalizerWrapper::Prepend(Prepend::new("▁".to_owned())));
    }
    let normalizer = NormalizerWrapper::Sequence(NormalizerSequence::new(steps));
    let pipeline = Pipeline::new(ModelWrapper::BPE(model), Some(normalizer), None);
    vocabulary.tokenizer(pipeline, Alphabet::SentencePiece)
}

/// Derives merges from scores, since SentencePiece stores no merges: two neighbours are joined if the text of both is a
/// token, the pair with the best score first. As a list, that is every way to split every token in two, best score
/// first.
fn merges_by_score(vocabulary: &Vocabulary<'_>, scores: &[f32]) -> Result<Merges, ModelFileError> {
    const NORMAL: i32 = 1;
    /// Bytes hashed for all splits; 32,000 tokens of Llama 2 take 2 million, so this limit takes at most a second.
    const MAX_BYTES_HASHED: u64 = 1 << 30;
    let normal = || vocabulary.iter().filter(|(_, _, kind)| *kind == NORMAL);
    let bytes_hashed = normal().map(|(text, _, _)| (text.len() * text.len()) as u64).sum();
    if bytes_hashed > MAX_BYTES_HASHED {
        return Err(ModelFileError::TooMany {
            what: "bytes in cuts of tokens",
            count: bytes_hashed,
            limit: MAX_BYTES_HASHED,
        });
    }
    let ids: HashMap<&str, u32> = normal().map(|(text, id, _)| (text, id)).collect();
    let mut splits: Vec<(f32, u32, u32, &str, &str)> = Vec::new();
    for (text, id, _) in normal() {
        for (at, _) in text.char_indices().skip(1) {
            let (left, right) = text.split_at(at);
            if let (Some(left_id), Some(right_id)) = (ids.get(left), ids.get(right)) {
                splits.push((scores[id as usize], *left_id, *right_id, left, right));
            }
        }
    }
    splits.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    Ok(splits
        .into_iter()
        .map(|(_, _, _, left, right)| (left.to_owned(), right.to_owned()))
        .collect())
}

fn tokenizer_error(error: impl std::fmt::Display) -> ModelFileError {
    ModelFileError::Tokenizer {
        reason: error.to_string(),
    }
}
