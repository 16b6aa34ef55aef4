//! Converts text to token ids and back.
//!
//! The `tokenizers` crate merges the byte pairs. This module decides which parts of a prompt may become control tokens
//! (a template's literals, never a message), and which bytes each token stands for, so that a stream of tokens can be
//! written as it arrives.

mod added;
mod from_gguf;
mod from_json;
mod pipeline;
mod token_bytes;

use crate::{ModelFileError, Piece};
use added::AddedTokens;
use pipeline::{Pipeline, TextPosition};
use token_bytes::TokenBytes;

/// The tokenizer of one model.
pub struct Tokenizer {
    pipeline: Pipeline,
    added: AddedTokens,
    bytes: TokenBytes,
}

impl Tokenizer {
    /// Encodes a text without control tokens: a typed `<|im_end|>` is encoded as its characters.
    ///
    /// # Errors
    /// [`ModelFileError::Tokenizer`] if the vocabulary can't encode it, and [`ModelFileError::ControlTokenInText`] if
    /// the vocabulary would encode it as a control token.
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>, ModelFileError> {
        self.encode_pieces(&[Piece::Start, Piece::Text(text)])
    }

    /// Encodes a text with control tokens, from a trusted source such as a template's literals.
    ///
    /// # Errors
    /// [`ModelFileError::Tokenizer`] if the vocabulary can't encode it.
    pub fn encode_template(&self, literal: &str) -> Result<Vec<u32>, ModelFileError> {
        self.encode_pieces(&[Piece::Start, Piece::Literal(literal)])
    }

    /// Encodes the parts of a prompt, each by its own rule.
    ///
    /// Adjacent literals and texts are merged before they are encoded, so that a benign prompt has the ids of its
    /// rendered text; only literals can produce control tokens.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_text`].
    pub fn encode_pieces(&self, pieces: &[Piece<'_>]) -> Result<Vec<u32>, ModelFileError> {
        let mut encoder = PromptEncoder {
            tokenizer: self,
            ids: Vec::new(),
            text: String::new(),
            position: TextPosition::Within,
        };
        for piece in pieces {
            match piece {
                Piece::Start => encoder.flush(TextPosition::Start)?,
                Piece::Literal(literal) => encoder.literal(literal)?,
                Piece::Text(text) => encoder.text.push_str(text),
                Piece::Ids(ids) => {
                    encoder.flush(TextPosition::Within)?;
                    encoder.ids.extend_from_slice(ids);
                }
            }
        }
        encoder.flush(TextPosition::Within)?;
        Ok(encoder.ids)
    }

    /// Decodes all `ids`, control tokens by their names. Invalid UTF-8, and ids that the vocabulary doesn't have,
    /// become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut bytes = Vec::new();
        for id in ids {
            bytes.extend_from_slice(self.bytes.get(*id).unwrap_or("\u{FFFD}".as_bytes()));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns the bytes that a token adds to an answer, which may be a part of a character; `None` for control tokens
    /// and for ids that the vocabulary doesn't have.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        if self.added.is_control(id) {
            None
        } else {
            self.bytes.get(id)
        }
    }

    /// Returns the highest id plus one.
    pub fn vocab_size(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the id of the control or added token with exactly this text.
    pub fn control_id(&self, text: &str) -> Option<u32> {
        self.added.id(text)
    }

    /// Returns the control tokens that end an answer in one of the usual chat formats, whether or not the file declares
    /// them.
    pub(crate) fn end_tokens(&self) -> Vec<u32> {
        /// The names in ChatML, Llama 3, Llama 2 and GPT-2.
        const NAMES: [&str; 5] = ["<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "</s>", "<|endoftext|>"];
        NAMES
            .iter()
            .filter_map(|name| self.added.id(name))
            .filter(|id| self.added.is_control(*id))
            .collect()
    }

    fn new(pipeline: Pipeline, added: AddedTokens, bytes: TokenBytes) -> Self {
        Self { pipeline, added, bytes }
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size())
            .finish_non_exhaustive()
    }
}

/// A prompt that is being encoded: the ids so far, and the text since the last control token.
struct PromptEncoder<'a> {
    tokenizer: &'a Tokenizer,
    ids: Vec<u32>,
    text: String,
    position: TextPosition,
}

impl PromptEncoder<'_> {
    /// Adds a literal: its control tokens immediately, the text between them as pending text.
    fn literal(&mut self, literal: &str) -> Result<(), ModelFileError> {
        let mut rest = literal;
        while let Some(found) = self.tokenizer.added.find(rest) {
            self.text.push_str(&rest[..found.start]);
            self.flush(TextPosition::AfterControl)?;
            self.ids.push(found.id);
            rest = &rest[found.end..];
        }
        self.text.push_str(rest);
        Ok(())
    }

    /// Encodes the pending text; what follows is at position `next`.
    fn flush(&mut self, next: TextPosition) -> Result<(), ModelFileError> {
        let start = self.ids.len();
        self.tokenizer
            .pipeline
            .encode(&self.text, self.position, &mut self.ids)?;
        self.text.clear();
        self.position = next;
        match self.ids[start..]
            .iter()
            .find(|id| self.tokenizer.added.is_forbidden_in_text(**id))
        {
            None => Ok(()),
            Some(id) => Err(ModelFileError::ControlTokenInText {
                token: self.tokenizer.decode(&[*id]),
            }),
        }
    }
}
