//! Reads little-endian values off the front of a header, and never past its end.

use crate::{ModelFileError, limits};

/// A place in a mapped file.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bytes to the end of the file.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `needed` bytes.
    pub(super) fn take(&mut self, needed: u64, what: &'static str) -> Result<&'a [u8], ModelFileError> {
        let left = self.left();
        match usize::try_from(needed) {
            Ok(len) if len <= left => {
                let start = self.at;
                self.at += len;
                Ok(&self.bytes[start..self.at])
            }
            _ => Err(ModelFileError::Truncated {
                what,
                at: self.at,
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

    /// A length and as many bytes.
    pub(super) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], ModelFileError> {
        let len = self.u64(what)?;
        self.take(len, what)
    }

    /// A key or tensor name: short, UTF-8.
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

    /// A count of things of at least `least_bytes` each, which therefore must fit in what is left.
    pub(super) fn count(&mut self, what: &'static str, least_bytes: u64, limit: u64) -> Result<u64, ModelFileError> {
        let count = self.u64(what)?;
        if count > limit {
            return Err(ModelFileError::TooMany { what, count, limit });
        }
        let needed = count.saturating_mul(least_bytes);
        if needed > self.left() as u64 {
            return Err(ModelFileError::Truncated {
                what,
                at: self.at,
                needed,
                left: self.left(),
            });
        }
        Ok(count)
    }
}
