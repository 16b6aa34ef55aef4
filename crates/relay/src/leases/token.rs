//! The secret of a lease: 122 random bits, returned once and kept only as a hash.

use std::hint::black_box;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Creates a token.
pub(super) fn new() -> String {
    Uuid::new_v4().simple().to_string()
}

/// The hash of a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TokenHash([u8; 32]);

impl TokenHash {
    pub(super) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Returns true if it is the hash of this token, comparing in constant time.
    pub(super) fn is_of(&self, token: &str) -> bool {
        let other = Self::of(token);
        let pairs = self.0.iter().zip(other.0);
        pairs.fold(0, |difference, (a, b)| black_box(difference | (a ^ b))) == 0
    }
}
