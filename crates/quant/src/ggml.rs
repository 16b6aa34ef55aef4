//! The numbers by which ggml, and so a GGUF file, names block layouts.

use crate::{BlockType, QuantError};

impl BlockType {
    /// Returns the layout with this number in ggml, and so in a GGUF file.
    ///
    /// # Errors
    /// [`QuantError::UnknownType`] for any other number.
    pub fn from_ggml(id: u32) -> Result<Self, QuantError> {
        match id {
            0 => Ok(Self::F32),
            1 => Ok(Self::F16),
            2 => Ok(Self::Q4_0),
            3 => Ok(Self::Q4_1),
            6 => Ok(Self::Q5_0),
            7 => Ok(Self::Q5_1),
            8 => Ok(Self::Q8_0),
            10 => Ok(Self::Q2K),
            11 => Ok(Self::Q3K),
            12 => Ok(Self::Q4K),
            13 => Ok(Self::Q5K),
            14 => Ok(Self::Q6K),
            30 => Ok(Self::Bf16),
            id => Err(QuantError::UnknownType { id }),
        }
    }
}
