//! The bytes that each token stands for, computed once for the whole vocabulary.

use crate::{ModelFileError, limits};

use super::added::AddedToken;

/// How the texts of a vocabulary stand for bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// Every byte is a printable character of GPT-2's table.
    ByteLevel,
    /// Plain text, with `▁` for a space and `<0xNN>` for a byte.
    SentencePiece,
}

/// The bytes of all tokens in one buffer.
pub(super) struct TokenBytes {
    bytes: Vec<u8>,
    /// The range of each token's bytes; empty for an unused id.
    spans: Vec<(u32, u32)>,
}

impl TokenBytes {
    /// Lays out a vocabulary; added tokens stand for their text unchanged.
    pub(super) fn new<'a>(
        vocabulary: impl Iterator<Item = (&'a str, u32)>,
        added: &[AddedToken],
        alphabet: Alphabet,
    ) -> Result<Self, ModelFileError> {
        let table = byte_level_table();
        let mut layout = Self {
            bytes: Vec::new(),
            spans: Vec::new(),
        };
        for (text, id) in vocabulary {
            match alphabet {
                Alphabet::ByteLevel => layout.insert(id, |bytes| byte_level(text, &table, bytes))?,
                Alphabet::SentencePiece => layout.insert(id, |bytes| sentence_piece(text, bytes))?,
            }
        }
        for token in added {
            layout.insert(token.id, |bytes| bytes.extend_from_slice(token.text.as_bytes()))?;
        }
        Ok(layout)
    }

    pub(super) fn get(&self, id: u32) -> Option<&[u8]> {
        let (start, end) = *self.spans.get(id as usize)?;
        (start < end).then(|| &self.bytes[start as usize..end as usize])
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    fn insert(&mut self, id: u32, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), ModelFileError> {
        let index = id as usize;
        if index >= limits::MAX_VOCAB {
            let (count, limit) = (u64::from(id) + 1, limits::MAX_VOCAB as u64);
            return Err(ModelFileError::TooMany {
                what: "tokens",
                count,
                limit,
            });
        }
        if index >= self.spans.len() {
            self.spans.resize(index + 1, (0, 0));
        }
        let start = self.bytes.len();
        write(&mut self.bytes);
        let offset = |at: usize| {
            let bytes = u32::try_from(at);
            bytes.map_err(|_| ModelFileError::Tokenizer {
                reason: "the vocabulary is over 4 GiB".to_owned(),
            })
        };
        self.spans[index] = (offset(start)?, offset(self.bytes.len())?);
        Ok(())
    }
}

/// Builds the inverse of GPT-2's table: printable Latin-1 characters stand for themselves, the other 68 bytes are the
/// characters from U+0100 on.
fn byte_level_table() -> [Option<u8>; 0x144] {
    let mut table = [None; 0x144];
    let mut next = 0x100;
    for byte in 0..=255_u8 {
        let itself = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
        let character = if itself { usize::from(byte) } else { next };
        next += usize::from(!itself);
        table[character] = Some(byte);
    }
    table
}

fn byte_level(text: &str, table: &[Option<u8>; 0x144], bytes: &mut Vec<u8>) {
    for character in text.chars() {
        match table.get(character as usize).copied().flatten() {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

fn sentence_piece(text: &str, bytes: &mut Vec<u8>) {
    match byte_piece(text) {
        Some(byte) => bytes.push(byte),
        None => bytes.extend_from_slice(text.replace('▁', " ").as_bytes()),
    }
}

/// Returns the byte that a token like `<0x0A>` stands for.
fn byte_piece(text: &str) -> Option<u8> {
    let hex = text.strip_prefix("<0x")?.strip_suffix('>')?;
    if hex.len() == 2 {
        u8::from_str_radix(hex, 16).ok()
    } else {
        None
    }
}
