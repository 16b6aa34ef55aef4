//! Builds GGUF files that a test corrupts before they are written.

use std::path::PathBuf;

use tempfile::TempDir;

/// An entry of the table of tensors.
pub(super) struct TensorEntry {
    pub(super) name: String,
    pub(super) dims: Vec<u64>,
    pub(super) type_id: u32,
    pub(super) offset: u64,
}

/// The parts of a file, each as its bytes.
pub(super) struct GgufBuilder {
    pub(super) magic: [u8; 4],
    pub(super) version: u32,
    /// The declared number, if it differs from the real one.
    pub(super) n_tensors: Option<u64>,
    pub(super) n_metadata: Option<u64>,
    /// Keys, and types with values.
    pub(super) metadata: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) tensors: Vec<TensorEntry>,
    pub(super) data_bytes: usize,
}

impl GgufBuilder {
    /// Creates a complete, tiny model: one layer of 32, two heads of 16, six tokens.
    pub(super) fn model() -> Self {
        let mut builder = Self {
            magic: *b"GGUF",
            version: 3,
            n_tensors: None,
            n_metadata: None,
            metadata: Vec::new(),
            tensors: Vec::new(),
            data_bytes: 0,
        };
        builder.set("general.architecture", text("llama"));
        for (key, value) in [
            ("context_length", 64),
            ("embedding_length", 32),
            ("block_count", 1),
            ("feed_forward_length", 64),
            ("attention.head_count", 2),
        ] {
            builder.set(&format!("llama.{key}"), u32_value(value));
        }
        builder.set("llama.attention.layer_norm_rms_epsilon", f32_value(1e-5));
        builder.set("tokenizer.ggml.model", text("gpt2"));
        builder.set("tokenizer.ggml.pre", text("smollm"));
        builder.set(
            "tokenizer.ggml.tokens",
            texts(&["<|im_end|>", "a", "b", "ab", "<0x41>", "Ġ"]),
        );
        builder.set("tokenizer.ggml.token_type", i32s(&[3, 1, 1, 1, 1, 1]));
        builder.set("tokenizer.ggml.merges", texts(&["a b"]));
        builder.set("tokenizer.ggml.eos_token_id", u32_value(0));
        for (name, dims) in [
            ("token_embd", vec![32, 6]),
            ("output_norm", vec![32]),
            ("blk.0.attn_norm", vec![32]),
            ("blk.0.attn_q", vec![32, 32]),
            ("blk.0.attn_k", vec![32, 32]),
            ("blk.0.attn_v", vec![32, 32]),
            ("blk.0.attn_output", vec![32, 32]),
            ("blk.0.ffn_norm", vec![32]),
            ("blk.0.ffn_gate", vec![32, 64]),
            ("blk.0.ffn_up", vec![32, 64]),
            ("blk.0.ffn_down", vec![64, 32]),
        ] {
            builder.push(&format!("{name}.weight"), dims);
        }
        builder
    }

    /// Adds an f32 tensor with zeros as data.
    pub(super) fn push(&mut self, name: &str, dims: Vec<u64>) {
        let bytes = dims.iter().product::<u64>() as usize * 4;
        self.tensors.push(TensorEntry {
            name: name.to_owned(),
            dims,
            type_id: 0,
            offset: self.data_bytes as u64,
        });
        self.data_bytes += bytes;
    }

    /// Sets a metadata value, which includes its type.
    pub(super) fn set(&mut self, key: &str, value: Vec<u8>) {
        self.metadata.retain(|(old, _)| old != key.as_bytes());
        self.metadata.push((key.as_bytes().to_vec(), value));
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.metadata.retain(|(old, _)| old != key.as_bytes());
    }

    pub(super) fn tensor(&mut self, name: &str) -> &mut TensorEntry {
        self.tensors
            .iter_mut()
            .find(|tensor| tensor.name == name)
            .expect("the model has this tensor")
    }

    /// Returns the header alone, without padding and data.
    pub(super) fn header(&self) -> Vec<u8> {
        let mut bytes = self.magic.to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.n_tensors.unwrap_or(self.tensors.len() as u64).to_le_bytes());
        bytes.extend(self.n_metadata.unwrap_or(self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            bytes.extend((key.len() as u64).to_le_bytes());
            bytes.extend(key);
            bytes.extend(value);
        }
        for tensor in &self.tensors {
            bytes.extend((tensor.name.len() as u64).to_le_bytes());
            bytes.extend(tensor.name.as_bytes());
            bytes.extend((tensor.dims.len() as u32).to_le_bytes());
            bytes.extend(tensor.dims.iter().flat_map(|dim| dim.to_le_bytes()));
            bytes.extend(tensor.type_id.to_le_bytes());
            bytes.extend(tensor.offset.to_le_bytes());
        }
        bytes
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header();
        bytes.resize(bytes.len().next_multiple_of(32) + self.data_bytes, 0);
        bytes
    }
}

/// Writes a file that is removed after the test.
pub(super) fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, bytes).expect("the temporary folder can be written");
    (folder, path)
}

pub(super) fn text(value: &str) -> Vec<u8> {
    typed(8, &string(value))
}

pub(super) fn u32_value(value: u32) -> Vec<u8> {
    typed(4, &value.to_le_bytes())
}

pub(super) fn f32_value(value: f32) -> Vec<u8> {
    typed(6, &value.to_le_bytes())
}

pub(super) fn bool_value(value: bool) -> Vec<u8> {
    typed(7, &[u8::from(value)])
}

pub(super) fn texts(values: &[&str]) -> Vec<u8> {
    array(
        8,
        values.len() as u64,
        &values.iter().flat_map(|value| string(value)).collect::<Vec<_>>(),
    )
}

pub(super) fn i32s(values: &[i32]) -> Vec<u8> {
    array(
        5,
        values.len() as u64,
        &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>(),
    )
}

pub(super) fn f32s(values: &[f32]) -> Vec<u8> {
    array(
        6,
        values.len() as u64,
        &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>(),
    )
}

/// Encodes an array whose declared length may differ from the real one.
pub(super) fn array(element: u32, len: u64, bytes: &[u8]) -> Vec<u8> {
    let mut value = 9_u32.to_le_bytes().to_vec();
    value.extend(element.to_le_bytes());
    value.extend(len.to_le_bytes());
    value.extend(bytes);
    value
}

pub(super) fn typed(type_id: u32, bytes: &[u8]) -> Vec<u8> {
    let mut value = type_id.to_le_bytes().to_vec();
    value.extend(bytes);
    value
}

fn string(value: &str) -> Vec<u8> {
    let mut bytes = (value.len() as u64).to_le_bytes().to_vec();
    bytes.extend(value.as_bytes());
    bytes
}
