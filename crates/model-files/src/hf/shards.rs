//! The safetensors files of a model: one, or several with an index.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    path::{Component, Path},
};

use memmap2::Mmap;
use quant::BlockType;
use safetensors::{Dtype, SafeTensors};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use super::config::read_optional;
use crate::{ModelFileError, files::TensorLocation, limits, mapped::map_file};

/// The only file of a small model.
const SINGLE: &str = "model.safetensors";
/// The index: maps each tensor of a large model to a file.
const INDEX: &str = "model.safetensors.index.json";
/// Bytes of the length before a header.
const LENGTH_BYTES: usize = 8;

/// All tensors of a model, and the files that contain them.
pub(crate) struct Shards {
    pub(crate) maps: Vec<Mmap>,
    /// Size of the length bytes and the header of each file.
    pub(crate) header_lens: Vec<usize>,
    pub(crate) tensors: HashMap<String, TensorLocation>,
}

#[derive(Deserialize)]
struct IndexJson {
    weight_map: HashMap<String, String>,
}

/// Maps and checks the files.
pub(crate) fn open(folder: &Path) -> Result<Shards, ModelFileError> {
    let mut shards = Shards {
        maps: Vec::new(),
        header_lens: Vec::new(),
        tensors: HashMap::new(),
    };
    match read_optional(folder, INDEX, limits::MAX_INDEX_BYTES)? {
        None if folder.join(SINGLE).exists() => shards.add(&folder.join(SINGLE))?,
        None => {
            return Err(ModelFileError::MissingFile {
                path: folder.to_owned(),
                file: SINGLE,
            });
        }
        Some(json) => {
            let in_index = |error: ModelFileError| error.within(&folder.join(INDEX));
            let index: IndexJson =
                serde_json::from_slice(&json).map_err(|source| in_index(ModelFileError::Json { source }))?;
            let files: BTreeSet<&String> = index.weight_map.values().collect();
            check_names(&files).map_err(in_index)?;
            for file in &files {
                shards.add(&folder.join(file))?;
            }
            if let Some(name) = index
                .weight_map
                .into_keys()
                .find(|name| !shards.tensors.contains_key(name))
            {
                return Err(in_index(ModelFileError::MissingTensor { name }));
            }
        }
    }
    Ok(shards)
}

/// Checks the header of one file; returns its length and the locations of its tensors.
#[cfg(feature = "fuzz")]
pub(crate) fn read_header(file: &[u8]) -> Result<(usize, HashMap<String, TensorLocation>), ModelFileError> {
    let mut shards = Shards {
        maps: Vec::new(),
        header_lens: Vec::new(),
        tensors: HashMap::new(),
    };
    let header_len = shards.add_tensors(file)?;
    Ok((header_len, shards.tensors))
}

/// Checks that shards are in the folder itself: an index must not point anywhere else.
fn check_names(files: &BTreeSet<&String>) -> Result<(), ModelFileError> {
    if files.len() > limits::MAX_SHARDS {
        let (count, limit) = (files.len() as u64, limits::MAX_SHARDS as u64);
        return Err(ModelFileError::TooMany {
            what: "safetensors files",
            count,
            limit,
        });
    }
    for file in files {
        let mut parts = Path::new(file).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            let (key, expected) = ("weight_map".to_owned(), "names of files in the same folder");
            return Err(ModelFileError::BadValue {
                key,
                expected,
                found: format!("{file:?}"),
            });
        }
    }
    Ok(())
}

impl Shards {
    fn add(&mut self, path: &Path) -> Result<(), ModelFileError> {
        let map = map_file(path)?;
        let header_len = self.add_tensors(&map).map_err(|error| error.within(path))?;
        self.maps.push(map);
        self.header_lens.push(header_len);
        Ok(())
    }

    /// Checks the header in `file` and adds its tensors; returns the length of the header.
    fn add_tensors(&mut self, file: &[u8]) -> Result<usize, ModelFileError> {
        check_keys(file)?;
        let broken = |error: safetensors::SafeTensorError| ModelFileError::Safetensors {
            reason: error.to_string(),
        };
        let (json_len, metadata) = SafeTensors::read_metadata(file).map_err(broken)?;
        let data_start = LENGTH_BYTES + json_len;
        for (name, info) in metadata.tensors() {
            let block_type = match info.dtype {
                Dtype::F32 => BlockType::F32,
                Dtype::F16 => BlockType::F16,
                Dtype::BF16 => BlockType::Bf16,
                other => {
                    return Err(ModelFileError::TensorType {
                        name,
                        dtype: other.to_string(),
                    });
                }
            };
            let (rows, cols) = match info.shape[..] {
                [cols] => (1, cols),
                [rows, cols] => (rows, cols),
                _ => {
                    let shape = info.shape.iter().map(|dim| *dim as u64).collect();
                    return Err(ModelFileError::TensorSize { name, shape });
                }
            };
            let span = data_start + info.data_offsets.0..data_start + info.data_offsets.1;
            let location = TensorLocation {
                map: self.maps.len(),
                rows,
                cols,
                block_type,
                span,
            };
            if self.tensors.insert(name.clone(), location).is_some() {
                return Err(ModelFileError::DuplicateKey { key: name });
            }
        }
        Ok(data_start)
    }
}

/// Checks the keys of a header before anything is built from it: their number, their lengths, and that none occurs
/// twice (a map would keep the last and drop the others).
fn check_keys(file: &[u8]) -> Result<(), ModelFileError> {
    let Some((length, rest)) = file.split_first_chunk::<LENGTH_BYTES>() else {
        let (needed, left) = (LENGTH_BYTES as u64, file.len());
        return Err(ModelFileError::Truncated {
            what: "the length of the header",
            at: 0,
            needed,
            left,
        });
    };
    /// The limit of the `safetensors` crate.
    const MAX_HEADER_BYTES: u64 = 100_000_000;
    let needed = u64::from_le_bytes(*length);
    if needed > MAX_HEADER_BYTES {
        return Err(ModelFileError::TooMany {
            what: "bytes of header",
            count: needed,
            limit: MAX_HEADER_BYTES,
        });
    }
    let Some(header) = rest.get(..needed as usize) else {
        return Err(ModelFileError::Truncated {
            what: "the header",
            at: LENGTH_BYTES,
            needed,
            left: rest.len(),
        });
    };
    let broken = |error: serde_json::Error| ModelFileError::Safetensors {
        reason: error.to_string(),
    };
    let HeaderKeys(problem) = serde_json::from_slice(header).map_err(broken)?;
    problem.map_or(Ok(()), Err)
}

/// The keys of a JSON object, checked while they are read; holds the first problem, if there is one.
struct HeaderKeys(Option<ModelFileError>);

impl<'de> Deserialize<'de> for HeaderKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeaderKeysVisitor;

        impl<'de> Visitor<'de> for HeaderKeysVisitor {
            type Value = HeaderKeys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderKeys, A::Error> {
                let mut seen = HashSet::new();
                let mut problem = None;
                while let Some(key) = map.next_key::<String>()? {
                    map.next_value::<IgnoredAny>()?;
                    if problem.is_none() {
                        problem = check_key(key, &mut seen);
                    }
                }
                Ok(HeaderKeys(problem))
            }
        }

        deserializer.deserialize_map(HeaderKeysVisitor)
    }
}

fn check_key(key: String, seen: &mut HashSet<String>) -> Option<ModelFileError> {
    if key.len() as u64 > limits::MAX_NAME_BYTES {
        let (count, limit) = (key.len() as u64, limits::MAX_NAME_BYTES);
        return Some(ModelFileError::TooMany {
            what: "bytes of a name",
            count,
            limit,
        });
    }
    if seen.len() as u64 == limits::MAX_TENSORS {
        let limit = limits::MAX_TENSORS;
        return Some(ModelFileError::TooMany {
            what: "tensors",
            count: limit + 1,
            limit,
        });
    }
    if seen.contains(&key) {
        return Some(ModelFileError::DuplicateKey { key });
    }
    seen.insert(key);
    None
}
