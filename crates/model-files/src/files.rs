//! One model: its numbers, its mapped tensors, its tokenizer and its chat format.

use std::{collections::HashMap, fmt, ops::Range, path::Path};

use memmap2::Mmap;
use quant::BlockType;
use sha2::{Digest, Sha256};

use crate::{ChatFormat, ModelConfig, ModelFileError, TensorName, TensorView, Tokenizer, gguf, hf, mapped};

/// A model on disk, checked and mapped.
///
/// Opening reads the headers only; the pages of a tensor are read when it is looked at.
pub struct ModelFiles {
    /// What the model computes.
    pub config: ModelConfig,
    /// Text to tokens and back.
    pub tokenizer: Tokenizer,
    /// How a conversation is written; `None` when the model has no chat template.
    pub chat_format: Option<ChatFormat>,
    /// What the model calls itself; the name of the file or folder if it doesn't say.
    pub name: String,
    pub(crate) maps: Vec<Mmap>,
    pub(crate) tensors: HashMap<TensorName, Located>,
    pub(crate) fingerprint: String,
}

/// Where a tensor lies: which of the mapped files, and which of its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub(crate) map: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) block_type: BlockType,
    pub(crate) span: Range<usize>,
}

impl ModelFiles {
    /// Opens a GGUF file, or the folder of a Hugging Face model.
    ///
    /// # Errors
    /// A [`ModelFileError`] that names the file and what is wrong with it or not supported.
    pub fn open(path: &Path) -> Result<Self, ModelFileError> {
        if path.is_dir() {
            hf::open(path)
        } else {
            gguf::open(path).map_err(|error| error.within(path))
        }
    }

    /// The bytes and shape of a tensor. With a tied embedding, [`TensorName::Output`] is the embedding.
    ///
    /// # Errors
    /// [`ModelFileError::MissingTensor`] for a layer that the model doesn't have.
    pub fn tensor(&self, name: TensorName) -> Result<TensorView<'_>, ModelFileError> {
        let stored = match name {
            TensorName::Output if self.config.tied_embedding => TensorName::Embedding,
            name => name,
        };
        let located = self.tensors.get(&stored);
        let located = located.ok_or_else(|| ModelFileError::MissingTensor { name: name.to_string() })?;
        Ok(TensorView {
            rows: located.rows,
            cols: located.cols,
            block_type: located.block_type,
            bytes: &self.maps[located.map][located.span.clone()],
        })
    }

    /// Gives the memory of all tensors that were looked at back to the system, for when they are kept in another form. What is looked
    /// at later is read from the file again.
    pub fn release_pages(&self) {
        self.maps.iter().for_each(mapped::release);
    }

    /// Sixteen hex digits that stand for this model: the same file gives the same, another model another.
    ///
    /// A hash of the headers, the sizes, the tokenizer and the first bytes of every tensor, so that it
    /// takes no time; it tells models apart, and proves nothing about damage.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl fmt::Debug for ModelFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelFiles")
            .field("name", &self.name)
            .field("fingerprint", &self.fingerprint)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Hashes the `headers`, the sizes of the files and the first bytes of every tensor.
pub(crate) fn fingerprint(headers: &[&[u8]], maps: &[Mmap], tensors: &HashMap<TensorName, Located>) -> String {
    /// Enough of a tensor to differ between two models trained from the same start.
    const SAMPLE_BYTES: usize = 64;
    /// Half of this many hex digits is a 64-bit hash: no two models of a machine share it.
    const BYTES_SHOWN: usize = 8;
    let mut hash = Sha256::new();
    for part in headers {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    for map in maps {
        hash.update((map.len() as u64).to_le_bytes());
    }
    let mut spans: Vec<_> = tensors
        .values()
        .map(|located| (located.map, located.span.clone()))
        .collect();
    spans.sort_unstable_by_key(|(map, span)| (*map, span.start));
    for (map, span) in spans {
        let end = span.end.min(span.start + SAMPLE_BYTES);
        hash.update(&maps[map][span.start..end]);
    }
    hash.finalize()
        .iter()
        .take(BYTES_SHOWN)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
