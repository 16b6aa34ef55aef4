//! Converts an answer's tokens to text that is safe to send: whole characters, and never the beginning of a stop
//! string.
//!
//! Token ids and their bytes go in; [`Piece`]s come out, each with some whole tokens and exactly the text that they
//! spell. The ids of all pieces together are the answer. Bytes that aren't UTF-8 become U+FFFD, as
//! [`String::from_utf8_lossy`] would replace them in the whole answer; an unfinished character is held back, and
//! becomes U+FFFD only at the end. A control token has no bytes; it is sent with the next text, and dropped when none
//! follows.

use crate::stop::StopStrings;

/// Text that may be sent, and the tokens that spell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Whole characters.
    pub(crate) text: String,
    /// The tokens that spell it, in order.
    pub(crate) ids: Vec<u32>,
}

/// The effect of a token on the text that may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// All of its text is held back, after the text that was held back before.
    Held,
    /// This piece may be sent.
    Released(Piece),
    /// It completes a stop string: the answer ends with the piece and then the remainder.
    Stopped {
        /// Tokens wholly before the stop string; may be empty.
        piece: Piece,
        /// Text before the stop string, of a token that reaches into it; must be encoded again. May be empty.
        remainder: String,
    },
}

/// The text of one answer that isn't sent yet.
#[derive(Debug, Clone)]
pub(crate) struct Detokenizer {
    stops: StopStrings,
    /// Bytes of the tokens in `pending`, in order.
    bytes: Vec<u8>,
    pending: Vec<PendingToken>,
}

#[derive(Debug, Clone, Copy)]
struct PendingToken {
    id: u32,
    /// Where its bytes end in `bytes`.
    end: usize,
}

impl Detokenizer {
    /// Makes a detokenizer for one answer that ends before any of `stop`.
    pub(crate) fn new(stop: &[String]) -> Self {
        Self {
            stops: StopStrings::new(stop),
            bytes: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// Adds the next token; `spelling` is empty for a control token.
    pub(crate) fn push(&mut self, id: u32, spelling: &[u8]) -> Pushed {
        for &byte in spelling {
            self.bytes.push(byte);
            if let Some(stop_len) = self.stops.push(byte) {
                return self.stop_at(self.bytes.len() - stop_len);
            }
        }
        self.pending.push(PendingToken {
            id,
            end: self.bytes.len(),
        });
        let releasable = self.bytes.len() - self.stops.held();
        match self.take_tokens(releasable) {
            piece if piece.ids.is_empty() => Pushed::Held,
            piece => Pushed::Released(piece),
        }
    }

    /// Ends the answer, and returns what was held back. The piece is empty if no text is left.
    pub(crate) fn finish(&mut self) -> Piece {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        let ids = self.pending.drain(..).map(|token| token.id);
        let ids = if text.is_empty() { Vec::new() } else { ids.collect() };
        self.bytes.clear();
        Piece { text, ids }
    }

    /// Ends the answer after the first `kept` bytes that aren't sent yet.
    fn stop_at(&mut self, kept: usize) -> Pushed {
        let unsent = self.bytes.len();
        let piece = self.take_tokens(kept);
        let taken = unsent - self.bytes.len();
        let remainder = String::from_utf8_lossy(&self.bytes[..kept - taken]).into_owned();
        self.bytes.clear();
        self.pending.clear();
        Pushed::Stopped { piece, remainder }
    }

    /// Takes as many tokens as end within the first `limit` bytes and not inside a character, if they spell anything.
    fn take_tokens(&mut self, limit: usize) -> Piece {
        let ends_well = |token: &PendingToken| token.end <= limit && !ends_inside_character(&self.bytes[..token.end]);
        let Some(last) = self.pending.iter().rposition(ends_well) else {
            return Piece::default();
        };
        let taken_bytes = self.pending[last].end;
        if taken_bytes == 0 {
            return Piece::default();
        }
        let ids = self.pending.drain(..=last).map(|token| token.id).collect();
        let text = String::from_utf8_lossy(&self.bytes[..taken_bytes]).into_owned();
        self.bytes.drain(..taken_bytes);
        for token in &mut self.pending {
            token.end -= taken_bytes;
        }
        Piece { text, ids }
    }
}

/// Returns true if the bytes end with the valid beginning of a character that more bytes could complete.
fn ends_inside_character(bytes: &[u8]) -> bool {
    /// A character has at most four bytes, so an unfinished one at most three.
    const LONGEST_UNFINISHED: usize = 3;
    let tail = &bytes[bytes.len().saturating_sub(LONGEST_UNFINISHED)..];
    let is_lead = |&byte: &u8| byte >= 0xC0;
    let Some(lead) = tail.iter().rposition(is_lead) else {
        return false;
    };
    std::str::from_utf8(&tail[lead..]).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}
