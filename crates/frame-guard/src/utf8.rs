//! Validates UTF-8 one byte at a time (RFC 3629, section 4).
//!
//! It rejects the first byte that no text can have at that point, and keeps only which bytes may follow.

/// The state of the validation between two bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Utf8 {
    /// Bytes missing from the current character.
    missing: u8,
    /// The bounds of the next of them.
    low: u8,
    high: u8,
}

impl Utf8 {
    /// Takes the next byte; returns true if it is valid at this point.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        if self.missing > 0 {
            let fits = (self.low..=self.high).contains(&byte);
            *self = Self::awaiting(self.missing - 1, 0x80, 0xbf);
            return fits;
        }
        *self = match byte {
            0x00..=0x7f => return true,
            0xc2..=0xdf => Self::awaiting(1, 0x80, 0xbf),
            // The second byte decides: no overlong form, no surrogate, nothing above U+10FFFF.
            0xe0 => Self::awaiting(2, 0xa0, 0xbf),
            0xed => Self::awaiting(2, 0x80, 0x9f),
            0xe1..=0xef => Self::awaiting(2, 0x80, 0xbf),
            0xf0 => Self::awaiting(3, 0x90, 0xbf),
            0xf1..=0xf3 => Self::awaiting(3, 0x80, 0xbf),
            0xf4 => Self::awaiting(3, 0x80, 0x8f),
            0x80..=0xc1 | 0xf5..=0xff => return false,
        };
        true
    }

    /// Returns true if the text so far ends with a complete character.
    pub(crate) fn is_whole(self) -> bool {
        self.missing == 0
    }

    fn awaiting(missing: u8, low: u8, high: u8) -> Self {
        Self { missing, low, high }
    }
}
