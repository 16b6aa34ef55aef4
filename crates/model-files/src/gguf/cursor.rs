//! Reads little-endian values from the start of a header, and never past its end.

use crate::{ModelFileError, limits};

/// A position in a mapped file.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Returns the number of bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Returns the number of bytes to the end of the file.
    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// Reads the next `needed` bytes.
    pub(super) fn take(&mut self, needed: u64, what: &'static str) -> Result<&'a [u8], ModelFileError> {
        let left = self.remaining();
        match usize::try_from(needed) {
            Ok(len) if len <= left => {
                let start = self.position;
                self.position += len;
                Ok(&self.bytes[start..self.position])
            }
            _ => Err(ModelFileError::Truncated {
                what,
                at: self.position,
                needed,
                left,
            }),
        }
    }

    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ModelFileError> {
        let bytes = self.take(N as u64, what)?;
        Ok(bytes.try_into().expect("take gives exactly as many bytes as asked for"))
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, ModelFileError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, ModelFileError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// Reads a length and as many bytes.
    pub(super) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], ModelFileError> {
        let len = self.u64(what)?;
        self.take(len, what)
    }

    /// Reads a key or tensor name: short, UTF-8.
    pub(super) fn name(&mut self, what: &'static str) -> Result<&'a str, ModelFileError> {
        let bytes = self.bytes(what)?;
        if bytes.len() as u64 > limits::MAX_NAME_BYTES {
            let count = bytes.len() as u64;
            return Err(ModelFileError::TooMany {
                what: "bytes of a name",
                count,
                limit: limits::MAX_NAME_BYTES,
            });
        }
        std::str::from_utf8(bytes).map_err(|_| ModelFileError::NotUtf8 { what: what.to_owned() })
    }

    /// Reads a count of items of at least `min_bytes` each, and checks that they fit in the rest of the file.
    pub(super) fn count(&mut self, what: &'static str, min_bytes: u64, limit: u64) -> Result<u64, ModelFileError> {
        let count = self.u64(what)?;
        if count > limit {
            return Err(ModelFileError::TooMany { what, count, limit });
        }
        let needed = count.saturating_mul(min_bytes);
        if needed > self.remaining() as u64 {
            return Err(ModelFileError::Truncated {
                what,
                at: self.position,
                needed,
                left: self.remaining(),
            });
        }
        Ok(count)
    }
}
