//! The answer as it grows: what was generated, and what of it was sent.

use engine::Options;

use crate::detokenizer::{Detokenizer, Piece, Pushed};
use crate::prompt::PromptFormat;

/// The answer of one turn. Its ids are exactly those that were sent, so its text is exactly what they spell.
#[derive(Debug)]
pub(super) struct Answer {
    detokenizer: Detokenizer,
    generated: Vec<u32>,
    sent: Vec<u32>,
}

/// What a token did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grown {
    /// Text to be sent now.
    pub(super) piece: Option<Piece>,
    /// Whether a stop string was met.
    pub(super) is_stopped: bool,
}

impl Answer {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            detokenizer: Detokenizer::new(&options.stop),
            generated: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Tokens that were generated, sent or not.
    pub(super) fn generated_tokens(&self) -> usize {
        self.generated.len()
    }

    /// The ids that were sent.
    pub(super) fn ids(&self) -> &[u32] {
        &self.sent
    }

    /// Adds the next token.
    pub(super) fn push(&mut self, id: u32, format: &PromptFormat) -> Grown {
        self.generated.push(id);
        let spelling = format.tokenizer().token_bytes(id).unwrap_or(&[]);
        match self.detokenizer.push(id, spelling) {
            Pushed::Held => Grown {
                piece: None,
                is_stopped: false,
            },
            Pushed::Released(piece) => Grown {
                piece: self.send(piece),
                is_stopped: false,
            },
            Pushed::Stopped { mut piece, remainder } => {
                // Where no ids spell the rest of the token, it is left out: text and ids must stay the same thing.
                if let Some(ids) = format.encode_exactly(&remainder) {
                    piece.text.push_str(&remainder);
                    piece.ids.extend(ids);
                }
                Grown {
                    piece: self.send(piece),
                    is_stopped: true,
                }
            }
        }
    }

    /// Ends the answer: whatever was held back belongs to it.
    pub(super) fn finish(&mut self) -> Option<Piece> {
        let piece = self.detokenizer.finish();
        self.send(piece)
    }

    /// How many of the first `fed` generated tokens are the answer's first ids too.
    pub(super) fn kept_tokens(&self, fed: usize) -> usize {
        let fed = &self.generated[..fed];
        fed.iter()
            .zip(&self.sent)
            .take_while(|(generated, sent)| generated == sent)
            .count()
    }

    fn send(&mut self, piece: Piece) -> Option<Piece> {
        self.sent.extend_from_slice(&piece.ids);
        (!piece.text.is_empty()).then_some(piece)
    }
}
