//! The header of a GGUF file, checked from the first byte to the last.
//!
//! Layout: magic, version, two counts, metadata, table of tensors, padding to the alignment, data.

use super::cursor::Cursor;
use super::metadata::Metadata;
use super::tensors::{self, TensorInfo};
use crate::{ModelFileError, limits};

/// The first four bytes of every GGUF file.
const MAGIC: [u8; 4] = *b"GGUF";
/// The alignment of a file that declares none.
const DEFAULT_ALIGNMENT: u64 = 32;
/// The largest accepted alignment: a large page.
const MAX_ALIGNMENT: u64 = 2 << 20;

/// A GGUF header in which every length, offset and span lies within the file.
pub(crate) struct Gguf<'a> {
    pub(crate) metadata: Metadata<'a>,
    pub(crate) tensors: Vec<TensorInfo<'a>>,
    /// All bytes before the data.
    pub(crate) header: &'a [u8],
}

impl<'a> Gguf<'a> {
    /// Reads and checks the header of a whole file.
    pub(crate) fn parse(file: &'a [u8]) -> Result<Self, ModelFileError> {
        let mut cursor = Cursor::new(file);
        let found = cursor.array("the GGUF magic")?;
        if found != MAGIC {
            return Err(ModelFileError::NotGguf { found });
        }
        let version = cursor.u32("the GGUF version")?;
        if !matches!(version, 2 | 3) {
            return Err(ModelFileError::GgufVersion { version });
        }
        // The fewest bytes of a tensor: a name's length, the number of dimensions, one dimension, type, offset.
        let n_tensors = cursor.count("tensors", 8 + 4 + 8 + 4 + 8, limits::MAX_TENSORS)?;
        // The fewest bytes of a metadata entry: a key's length, the type, one byte.
        let n_metadata = cursor.count("metadata entries", 8 + 4 + 1, limits::MAX_METADATA)?;
        let metadata = Metadata::read(&mut cursor, n_metadata)?;
        let alignment = alignment(&metadata)?;
        let mut tensors = tensors::read(&mut cursor, n_tensors)?;
        let header_len = cursor.position();
        let data_start = header_len.next_multiple_of(alignment as usize);
        tensors::locate(&mut tensors, data_start, file.len(), alignment)?;
        Ok(Self {
            metadata,
            tensors,
            header: &file[..header_len],
        })
    }
}

fn alignment(metadata: &Metadata<'_>) -> Result<u64, ModelFileError> {
    const KEY: &str = "general.alignment";
    let alignment = metadata.unsigned(KEY)?.unwrap_or(DEFAULT_ALIGNMENT);
    if !alignment.is_power_of_two() || alignment > MAX_ALIGNMENT {
        let expected = "a power of two up to 2097152";
        return Err(ModelFileError::BadValue {
            key: KEY.to_owned(),
            expected,
            found: alignment.to_string(),
        });
    }
    Ok(alignment)
}
