//! The secret of a lease: 122 random bits, told once, kept only as a hash.

use std::hint::black_box;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A new token.
pub(super) fn new() -> String {
    Uuid::new_v4().simple().to_string()
}

/// What is kept of a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TokenHash([u8; 32]);

impl TokenHash {
    pub(super) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Whether it is that token's, in a time that doesn't depend on how alike they are.
    pub(super) fn is_of(&self, token: &str) -> bool {
        let shown = Self::of(token);
        let pairs = self.0.iter().zip(shown.0);
        pairs.fold(0, |difference, (a, b)| black_box(difference | (a ^ b))) == 0
    }
}
