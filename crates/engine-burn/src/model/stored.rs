//! Reports the block type, the shape and the bytes of each matrix of a loaded model, and their sums.

use std::fmt;

use quant::BlockType;

/// A matrix as a model multiplies with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredMatrix {
    pub(crate) block_type: BlockType,
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    /// Bytes in memory.
    pub(crate) bytes: usize,
}

/// `F32 [64, 64]`.
impl fmt::Display for StoredMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}, {}]", self.block_type, self.outputs, self.inputs)
    }
}

/// The blocks that a model's matrices are computed with as, and what they take. Norms are left out, and so is an
/// embedding that isn't the output matrix too: it stays in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredWeights(Vec<(BlockType, usize)>);

impl StoredWeights {
    /// Adds matrices up by their blocks, in the order in which these appear.
    pub(super) fn of(matrices: impl Iterator<Item = StoredMatrix>) -> Self {
        let mut stored = Self::default();
        for StoredMatrix { block_type, bytes, .. } in matrices {
            match stored.0.iter_mut().find(|(known, _)| *known == block_type) {
                Some((_, sum)) => *sum += bytes,
                None => stored.0.push((block_type, bytes)),
            }
        }
        stored
    }

    /// Returns the bytes of all of them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|(_, bytes)| *bytes as u64).sum()
    }
}

/// Blocks and MiB, in the order of the layers: `Q4_1 63 MiB, Q8_0 29 MiB`.
impl fmt::Display for StoredWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, (block_type, bytes)) in self.0.iter().enumerate() {
            let comma = if idx == 0 { "" } else { ", " };
            write!(f, "{comma}{block_type} {} MiB", bytes.div_ceil(1 << 20))?;
        }
        Ok(())
    }
}
