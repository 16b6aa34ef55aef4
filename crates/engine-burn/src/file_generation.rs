//! Identifies one version of a conversation's file on disk.

/// Distinguishes a file from earlier and later ones of the same conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileGeneration(u64);

impl FileGeneration {
    /// Makes the generation with this number; each number is used once in a process.
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }
}
