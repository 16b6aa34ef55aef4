//! The answer as it grows: which tokens were generated, and which of them were sent.

use engine::Options;

use crate::detokenizer::{Detokenizer, Piece, Pushed};
use crate::prompt::PromptFormat;

/// The answer of one turn. The ids that were sent spell exactly the text that was sent.
#[derive(Debug)]
pub(super) struct AnswerBuffer {
    detokenizer: Detokenizer,
    generated: Vec<u32>,
    sent: Vec<u32>,
}

/// The effect of a token on the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Appended {
    /// Text to be sent now.
    pub(super) piece: Option<Piece>,
    /// True if the token completes a stop string.
    pub(super) is_stopped: bool,
}

impl AnswerBuffer {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            detokenizer: Detokenizer::new(&options.stop),
            generated: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Returns the number of generated tokens, sent or not.
    pub(super) fn generated_tokens(&self) -> usize {
        self.generated.len()
    }

    /// Returns the ids that were sent.
    pub(super) fn ids(&self) -> &[u32] {
        &self.sent
    }

    /// Adds the next token.
    pub(super) fn push(&mut self, id: u32, format: &PromptFormat) -> Appended {
        self.generated.push(id);
        let spelling = format.tokenizer().token_bytes(id).unwrap_or(&[]);
        match self.detokenizer.push(id, spelling) {
            Pushed::Held => Appended {
                piece: None,
                is_stopped: false,
            },
            Pushed::Released(piece) => Appended {
                piece: self.send(piece),
                is_stopped: false,
            },
            Pushed::Stopped { mut piece, remainder } => {
                // If no ids spell the rest of the token, it is left out: text and ids must stay the same.
                if let Some(ids) = format.encode_exactly(&remainder) {
                    piece.text.push_str(&remainder);
                    piece.ids.extend(ids);
                }
                Appended {
                    piece: self.send(piece),
                    is_stopped: true,
                }
            }
        }
    }

    /// Ends the answer, and returns the text that was held back until now.
    pub(super) fn finish(&mut self) -> Option<Piece> {
        let piece = self.detokenizer.finish();
        self.send(piece)
    }

    /// Returns how many of the first `computed` generated tokens are also the first ids that were sent.
    pub(super) fn kept_tokens(&self, computed: usize) -> usize {
        let computed = &self.generated[..computed];
        computed
            .iter()
            .zip(&self.sent)
            .take_while(|(generated, sent)| generated == sent)
            .count()
    }

    fn send(&mut self, piece: Piece) -> Option<Piece> {
        self.sent.extend_from_slice(&piece.ids);
        (!piece.text.is_empty()).then_some(piece)
    }
}
