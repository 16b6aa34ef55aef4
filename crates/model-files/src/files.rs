//! A model: its numbers, its mapped tensors, its tokenizer and its chat format.

use std::{collections::HashMap, fmt, ops::Range};

use memmap2::Mmap;
use quant::BlockType;
use sha2::{Digest, Sha256};

use crate::{ChatFormat, ModelConfig, ModelFileError, TensorName, TensorView, Tokenizer, mapped};

/// A model on disk, checked and mapped.
///
/// Opening reads the headers only; the pages of a tensor are read when it is accessed.
pub struct ModelFiles {
    /// The architecture.
    pub config: ModelConfig,
    /// Converts text to tokens and back.
    pub tokenizer: Tokenizer,
    /// The format of a conversation; `None` if the model has no chat template.
    pub chat_format: Option<ChatFormat>,
    /// The model's own name, or the name of the file or folder if it has none.
    pub name: String,
    pub(crate) maps: Vec<Mmap>,
    pub(crate) tensors: HashMap<TensorName, TensorLocation>,
    pub(crate) fingerprint: String,
}

/// The location of a tensor: the index of the mapped file, its shape and type, and its bytes in that file.
#[derive(Debug, Clone)]
pub(crate) struct TensorLocation {
    pub(crate) map: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) block_type: BlockType,
    pub(crate) span: Range<usize>,
}

impl ModelFiles {
    /// Returns the bytes and shape of a tensor. With a tied embedding, [`TensorName::Output`] is the embedding.
    ///
    /// # Errors
    /// [`ModelFileError::MissingTensor`] for a layer that the model doesn't have.
    pub fn tensor(&self, name: TensorName) -> Result<TensorView<'_>, ModelFileError> {
        let stored = match name {
            TensorName::Output if self.config.tied_embedding => TensorName::Embedding,
            name => name,
        };
        let location = self.tensors.get(&stored);
        let location = location.ok_or_else(|| ModelFileError::MissingTensor { name: name.to_string() })?;
        Ok(TensorView {
            rows: location.rows,
            cols: location.cols,
            block_type: location.block_type,
            bytes: &self.maps[location.map][location.span.clone()],
        })
    }

    /// Returns the memory of all accessed tensors to the system, once they are kept in another form. A later access
    /// reads the file again.
    pub fn release_pages(&self) {
        self.maps.iter().for_each(mapped::release);
    }

    /// Returns sixteen hex digits that identify this model: the same file has the same ones, another model has others.
    ///
    /// They are a hash of the headers, the sizes, the tokenizer and the first bytes of every tensor, so computing them
    /// takes no noticeable time. They distinguish models, and prove nothing about damage.
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
pub(crate) fn fingerprint(headers: &[&[u8]], maps: &[Mmap], tensors: &HashMap<TensorName, TensorLocation>) -> String {
    /// Enough of a tensor to distinguish two models trained from the same start.
    const SAMPLE_BYTES: usize = 64;
    /// Sixteen hex digits: a 64-bit hash doesn't collide among the models of one machine.
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
        .map(|location| (location.map, location.span.clone()))
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
