//! GGUF's table of tensors: names, shapes, types and the positions of their bytes.

use std::{collections::HashSet, ops::Range};

use quant::BlockType;

use super::cursor::Cursor;
use crate::{ModelFileError, limits};

/// An entry of the table, whose bytes lie within the file.
pub(crate) struct TensorInfo<'a> {
    pub(crate) name: &'a str,
    /// The product of all dimensions but the first.
    pub(crate) rows: usize,
    /// The first dimension: values that are stored consecutively.
    pub(crate) cols: usize,
    pub(crate) block_type: BlockType,
    /// Bytes, counted from the start of the file.
    pub(crate) span: Range<usize>,
}

/// Reads `count` entries; their spans are still relative to the start of the data.
pub(super) fn read<'a>(cursor: &mut Cursor<'a>, count: u64) -> Result<Vec<TensorInfo<'a>>, ModelFileError> {
    let mut names = HashSet::with_capacity(count as usize);
    let mut tensors = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let tensor = read_one(cursor)?;
        if !names.insert(tensor.name) {
            return Err(ModelFileError::DuplicateKey {
                key: tensor.name.to_owned(),
            });
        }
        tensors.push(tensor);
    }
    Ok(tensors)
}

/// Shifts the spans by the start of the data, and checks that each lies in the file and overlaps no other.
pub(super) fn locate(
    tensors: &mut [TensorInfo<'_>],
    data_start: usize,
    file_len: usize,
    alignment: u64,
) -> Result<(), ModelFileError> {
    let data_bytes = file_len.saturating_sub(data_start);
    for tensor in tensors.iter_mut() {
        let (offset, bytes) = (tensor.span.start as u64, tensor.span.len() as u64);
        let name = || tensor.name.to_owned();
        if !offset.is_multiple_of(alignment) {
            return Err(ModelFileError::TensorAlignment {
                name: name(),
                offset,
                alignment,
            });
        }
        if tensor.span.end > data_bytes {
            let data_bytes = data_bytes as u64;
            return Err(ModelFileError::TensorPastEnd {
                name: name(),
                offset,
                bytes,
                data_bytes,
            });
        }
        tensor.span = data_start + tensor.span.start..data_start + tensor.span.end;
    }
    let mut by_start: Vec<&TensorInfo<'_>> = tensors.iter().collect();
    by_start.sort_unstable_by_key(|tensor| tensor.span.start);
    for pair in by_start.windows(2) {
        if pair[0].span.end > pair[1].span.start {
            let (first, second) = (pair[0].name.to_owned(), pair[1].name.to_owned());
            return Err(ModelFileError::TensorsOverlap { first, second });
        }
    }
    Ok(())
}

fn read_one<'a>(cursor: &mut Cursor<'a>) -> Result<TensorInfo<'a>, ModelFileError> {
    const WHAT: &str = "a tensor's entry";
    let name = cursor.name("a tensor's name")?;
    let n_dims = cursor.u32(WHAT)?;
    if n_dims == 0 || n_dims > limits::MAX_DIMS {
        return Err(ModelFileError::TensorDims {
            name: name.to_owned(),
            n_dims,
        });
    }
    let mut shape = Vec::with_capacity(n_dims as usize);
    for _ in 0..n_dims {
        shape.push(cursor.u64(WHAT)?);
    }
    let values_error = |source| ModelFileError::TensorValues {
        name: name.to_owned(),
        source,
    };
    let block_type = BlockType::from_ggml(cursor.u32(WHAT)?).map_err(values_error)?;
    let offset = cursor.u64(WHAT)?;
    let impossible = || ModelFileError::TensorSize {
        name: name.to_owned(),
        shape: shape.clone(),
    };
    let (rows, cols) = rows_and_cols(&shape).ok_or_else(impossible)?;
    if !cols.is_multiple_of(block_type.block_len()) {
        let source = quant::QuantError::PartialBlock {
            block_type,
            values: cols,
        };
        return Err(values_error(source));
    }
    let bytes = rows
        .checked_mul(cols)
        .and_then(|values| block_type.bytes_for(values))
        .ok_or_else(impossible)?;
    let data_bytes = cursor.remaining() as u64;
    let past_end = || ModelFileError::TensorPastEnd {
        name: name.to_owned(),
        offset,
        bytes: bytes as u64,
        data_bytes,
    };
    let start = usize::try_from(offset).map_err(|_| past_end())?;
    let end = start.checked_add(bytes).ok_or_else(past_end)?;
    Ok(TensorInfo {
        name,
        rows,
        cols,
        block_type,
        span: start..end,
    })
}

/// Returns the shape as a matrix, or `None` if it is empty or too large.
fn rows_and_cols(shape: &[u64]) -> Option<(usize, usize)> {
    let (cols, outer) = shape.split_first()?;
    let rows = outer.iter().try_fold(1_u64, |rows, dim| rows.checked_mul(*dim))?;
    let values = rows.checked_mul(*cols)?;
    (values > 0).then_some((usize::try_from(rows).ok()?, usize::try_from(*cols).ok()?))
}
