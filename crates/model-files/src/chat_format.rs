//! The format of a conversation, split into turn segments.
//!
//! A model's chat template renders whole conversations, but an endless conversation can't be rendered whole. So the
//! template is rendered a few times when the model is opened, with unique markers in place of the messages, and the
//! result is split at the markers. What remains are the literals of a turn, which must be the same in every turn;
//! otherwise the template is refused. User input is never passed to the template.

mod probe;
mod template;

use crate::{ModelFileError, limits};
use probe::{Literals, SystemStyle};

/// A part of a prompt, which determines how it is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The start of the prompt. Some tokenizers put a space before the very first text; without this piece the pieces
    /// are taken to continue a prompt.
    Start,
    /// Text of the template: control tokens in it are encoded as control tokens.
    Literal(&'a str),
    /// Text of a message: everything in it is encoded as plain text.
    Text(&'a str),
    /// Tokens that are already encoded: a stored answer.
    Ids(&'a [u32]),
}

/// The literals of a chat template, which are the same in every turn.
///
/// A prompt is [`ChatFormat::system_part`], then for each turn [`ChatFormat::user_part`], the answer, and (if another
/// turn follows) [`ChatFormat::answer_end`]. Joined, they are what the template renders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatFormat {
    literals: Literals,
}

impl ChatFormat {
    /// Splits a chat template (Jinja, as in `tokenizer_config.json`) into its literals.
    ///
    /// `bos` and `eos` are the values of the template's `bos_token` and `eos_token`; both may be empty.
    ///
    /// # Errors
    /// [`ModelFileError::Template`] if the template is too long, can't be compiled or fails to render within its
    /// limits; [`ModelFileError::TemplateNotByTurns`] if its turns can't be told apart or change as a conversation
    /// grows.
    pub fn compile(template: &str, bos: &str, eos: &str) -> Result<Self, ModelFileError> {
        let bytes = template.len() as u64;
        if bytes > limits::MAX_TEMPLATE_BYTES {
            let limit = limits::MAX_TEMPLATE_BYTES;
            return Err(ModelFileError::TooMany {
                what: "bytes of a chat template",
                count: bytes,
                limit,
            });
        }
        let template = template::Template::compile(template, bos, eos)?;
        Ok(Self {
            literals: probe::literals(&template)?,
        })
    }

    /// Returns everything before the first user's message: the part that stays pinned.
    ///
    /// If `system` is `None`, it contains the template's default system text, if there is one. If the template puts the
    /// system text inside the first user's message (Llama 2), it contains that message's opening; if the template
    /// doesn't support a system text (Mistral), the text and an empty line are put in front of the first message.
    pub fn system_part<'a>(&'a self, system: Option<&'a str>) -> Vec<Piece<'a>> {
        let mut pieces = vec![Piece::Start];
        match (system, &self.literals.system) {
            (None, _) => pieces.push(Piece::Literal(&self.literals.without_system)),
            (Some(text), SystemStyle::Own { open, close }) => {
                pieces.extend([Piece::Literal(open), Piece::Text(text), Piece::Literal(close)]);
            }
            (Some(text), SystemStyle::InFirstMessage) => {
                let open = &self.literals.without_system;
                pieces.extend([Piece::Literal(open), Piece::Text(text), Piece::Literal("\n\n")]);
            }
        }
        without_empty(pieces)
    }

    /// Returns a user's message with its opening, and what makes the model answer it.
    pub fn user_part<'a>(&'a self, text: &'a str) -> Vec<Piece<'a>> {
        let literals = &self.literals;
        without_empty(vec![
            Piece::Literal(&literals.user_open),
            Piece::Text(text),
            Piece::Literal(&literals.user_close),
        ])
    }

    /// Returns what closes a finished answer before the next [`ChatFormat::user_part`].
    ///
    /// It starts with the token that ends an answer, if the template has one: an answer is stored without it.
    pub fn answer_end(&self) -> &str {
        &self.literals.answer_end
    }
}

fn without_empty(mut pieces: Vec<Piece<'_>>) -> Vec<Piece<'_>> {
    pieces.retain(|piece| !matches!(piece, Piece::Literal("")));
    pieces
}
