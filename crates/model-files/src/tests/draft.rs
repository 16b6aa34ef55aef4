//! A GGUF file as a draft that a test spoils before it is written.

use std::path::PathBuf;

use tempfile::TempDir;

/// A tensor of the table.
pub(super) struct DraftTensor {
    pub(super) name: String,
    pub(super) dims: Vec<u64>,
    pub(super) type_id: u32,
    pub(super) offset: u64,
}

/// Everything that goes into a file, each part as its bytes.
pub(super) struct Draft {
    pub(super) magic: [u8; 4],
    pub(super) version: u32,
    /// If not as many as there are.
    pub(super) n_tensors: Option<u64>,
    pub(super) n_metadata: Option<u64>,
    /// Key, and type with value.
    pub(super) metadata: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) tensors: Vec<DraftTensor>,
    pub(super) data_bytes: usize,
}

impl Draft {
    /// A whole, tiny model: one layer of 32, two heads of 16, six tokens.
    pub(super) fn model() -> Self {
        let mut draft = Self {
            magic: *b"GGUF",
            version: 3,
            n_tensors: None,
            n_metadata: None,
            metadata: Vec::new(),
            tensors: Vec::new(),
            data_bytes: 0,
        };
        draft.set("general.architecture", text("llama"));
        for (key, value) in [
            ("context_length", 64),
            ("embedding_length", 32),
            ("block_count", 1),
            ("feed_forward_length", 64),
            ("attention.head_count", 2),
        ] {
            draft.set(&format!("llama.{key}"), u32_value(value));
        }
        draft.set("llama.attention.layer_norm_rms_epsilon", f32_value(1e-5));
        draft.set("tokenizer.ggml.model", text("gpt2"));
        draft.set("tokenizer.ggml.pre", text("smollm"));
        draft.set(
            "tokenizer.ggml.tokens",
            texts(&["<|im_end|>", "a", "b", "ab", "<0x41>", "Ġ"]),
        );
        draft.set("tokenizer.ggml.token_type", i32s(&[3, 1, 1, 1, 1, 1]));
        draft.set("tokenizer.ggml.merges", texts(&["a b"]));
        draft.set("tokenizer.ggml.eos_token_id", u32_value(0));
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
            draft.push(&format!("{name}.weight"), dims);
        }
        draft
    }

    /// Adds an f32 tensor with zeros for data.
    pub(super) fn push(&mut self, name: &str, dims: Vec<u64>) {
        let bytes = dims.iter().product::<u64>() as usize * 4;
        self.tensors.push(DraftTensor {
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

    pub(super) fn tensor(&mut self, name: &str) -> &mut DraftTensor {
        self.tensors
            .iter_mut()
            .find(|tensor| tensor.name == name)
            .expect("the model has this tensor")
    }

    /// The header alone, without padding and data.
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

/// A file that is gone after the test.
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

/// An array that may say another length than it has.
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
