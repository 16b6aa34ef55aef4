//! The block layouts by name and size.

use std::fmt;

/// The layout in which the values of a tensor are stored, named as in ggml.
///
/// All are little endian. In the 4-bit layouts, byte `i` of a block holds value `i` in its low nibble and value `i +
/// 16` in its high nibble; the 5-bit ones store the fifth bit of value `i` as bit `i` of four preceding bytes. The
/// layouts of 256 values (ggml's K-quants) have scales for runs of 16 or 32 values, which are small integers in units
/// of one or two f16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockType {
    /// One IEEE single per value.
    F32,
    /// One IEEE half per value.
    F16,
    /// One bfloat16 per value: the upper half of an f32.
    Bf16,
    /// 32 values: an f16 scale `d`, 16 bytes of 4-bit `q`; the value is `d * (q - 8)`.
    Q4_0,
    /// 32 values: an f16 scale `d`, an f16 minimum `m`, 16 bytes of 4-bit `q`; the value is `d * q + m`.
    Q4_1,
    /// 32 values: an f16 scale `d`, the fifth bits, 16 bytes of the lower four of `q`; the value is `d * (q - 16)`.
    Q5_0,
    /// 32 values: an f16 scale `d`, an f16 minimum `m`, the fifth bits, 16 bytes of the lower four of `q`; the value is
    /// `d * q + m`.
    Q5_1,
    /// 32 values: an f16 scale `d`, 32 signed bytes `q`; the value is `d * q`.
    Q8_0,
    /// 256 values: runs of 16 with a scale and a minimum of 4 bits each, 2-bit quants.
    Q2K,
    /// 256 values: runs of 16 with a scale of 6 bits, 3-bit quants.
    Q3K,
    /// 256 values: runs of 32 with a scale and a minimum of 6 bits each, 4-bit quants.
    Q4K,
    /// 256 values: as Q4_K, with 5-bit quants.
    Q5K,
    /// 256 values: runs of 16 with a scale of 8 bits, 6-bit quants.
    Q6K,
}

impl BlockType {
    /// Returns how many values one block holds: 1 for the plain types, 256 for the K-quants, otherwise 32.
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q2K | Self::Q3K | Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Returns how many bytes one block takes.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q4_0 => 2 + 16,
            Self::Q4_1 => 2 + 2 + 16,
            Self::Q5_0 => 2 + 4 + 16,
            Self::Q5_1 => 2 + 2 + 4 + 16,
            Self::Q8_0 => 2 + 32,
            Self::Q2K => 16 + 64 + 2 + 2,
            Self::Q3K => 32 + 64 + 12 + 2,
            Self::Q4K => 2 + 2 + 12 + 128,
            Self::Q5K => 2 + 2 + 12 + 32 + 128,
            Self::Q6K => 128 + 64 + 16 + 2,
        }
    }

    /// Returns how many bytes `n_values` take, or `None` if they are not whole blocks or the number overflows.
    pub const fn bytes_for(self, n_values: usize) -> Option<usize> {
        if !n_values.is_multiple_of(self.block_len()) {
            return None;
        }
        (n_values / self.block_len()).checked_mul(self.block_bytes())
    }
}

impl fmt::Display for BlockType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q2K => "Q2_K",
            Self::Q3K => "Q3_K",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
        })
    }
}
