//! Text to token ids and back.
//!
//! The byte-pair merging is the `tokenizers` crate's; what is ours is the border around it: which parts
//! of a prompt may become control tokens (a template's literals, never a text), and which bytes each
//! token stands for, so that a stream of tokens can be written as it comes.

mod added;
mod from_gguf;
mod from_json;
mod pipeline;
mod token_bytes;

use crate::{ModelFileError, Piece};
use added::AddedTokens;
use pipeline::{Pipeline, Place};
use token_bytes::TokenBytes;

/// The tokenizer of one model.
pub struct Tokenizer {
    pipeline: Pipeline,
    added: AddedTokens,
    bytes: TokenBytes,
}

impl Tokenizer {
    /// Encodes a text in which everything is text: a typed `<|im_end|>` comes out as its characters.
    ///
    /// # Errors
    /// [`ModelFileError::Tokenizer`] if the vocabulary has no way to write it, and
    /// [`ModelFileError::ControlTokenInText`] if the vocabulary would make a control token of it.
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>, ModelFileError> {
        self.encode_pieces(&[Piece::Start, Piece::Text(text)])
    }

    /// Encodes a text in which control tokens are parsed: the author's own, such as a template's literals.
    ///
    /// # Errors
    /// [`ModelFileError::Tokenizer`] if the vocabulary has no way to write it.
    pub fn encode_template(&self, literal: &str) -> Result<Vec<u32>, ModelFileError> {
        self.encode_pieces(&[Piece::Start, Piece::Literal(literal)])
    }

    /// Encodes the parts of a prompt, each by its own rule.
    ///
    /// Neighbouring literals and texts are merged as the whole that they are, so that a benign prompt has
    /// the ids that its rendered text has; only control tokens come from literals alone.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_text`].
    pub fn encode_pieces(&self, pieces: &[Piece<'_>]) -> Result<Vec<u32>, ModelFileError> {
        let mut run = Run {
            tokenizer: self,
            ids: Vec::new(),
            text: String::new(),
            place: Place::Within,
        };
        for piece in pieces {
            match piece {
                Piece::Start => run.begin(Place::Start)?,
                Piece::Literal(literal) => run.literal(literal)?,
                Piece::Text(text) => run.text.push_str(text),
                Piece::Ids(ids) => {
                    run.begin(Place::Within)?;
                    run.ids.extend_from_slice(ids);
                }
            }
        }
        run.begin(Place::Within)?;
        Ok(run.ids)
    }

    /// The text of all `ids`, control tokens by their names. Bytes that are no UTF-8, and ids that the
    /// vocabulary doesn't have, come out as U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut bytes = Vec::new();
        for id in ids {
            bytes.extend_from_slice(self.bytes.get(*id).unwrap_or("\u{FFFD}".as_bytes()));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The bytes that a token adds to an answer, which may be a part of a character; `None` for control
    /// tokens and for ids that the vocabulary doesn't have.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        if self.added.is_control(id) {
            None
        } else {
            self.bytes.get(id)
        }
    }

    /// One more than the highest id.
    pub fn vocab_size(&self) -> usize {
        self.bytes.len()
    }

    /// The id of the control or added token with exactly this text.
    pub fn control_id(&self, text: &str) -> Option<u32> {
        self.added.id(text)
    }

    /// The control tokens that end an answer in one of the usual chat formats, whatever the file declares.
    pub(crate) fn end_tokens(&self) -> Vec<u32> {
        /// As ChatML, Llama 3, Llama 2 and GPT-2 write them.
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
struct Run<'a> {
    tokenizer: &'a Tokenizer,
    ids: Vec<u32>,
    text: String,
    place: Place,
}

impl Run<'_> {
    /// Adds a literal: its control tokens at once, what lies between them as text.
    fn literal(&mut self, literal: &str) -> Result<(), ModelFileError> {
        let mut rest = literal;
        while let Some(found) = self.tokenizer.added.find(rest) {
            self.text.push_str(&rest[..found.start]);
            self.begin(Place::AfterControl)?;
            self.ids.push(found.id);
            rest = &rest[found.end..];
        }
        self.text.push_str(rest);
        Ok(())
    }

    /// Encodes what is pending; what follows stands at `next`.
    fn begin(&mut self, next: Place) -> Result<(), ModelFileError> {
        let start = self.ids.len();
        self.tokenizer.pipeline.encode(&self.text, self.place, &mut self.ids)?;
        self.text.clear();
        self.place = next;
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
