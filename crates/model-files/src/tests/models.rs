//! Tests of the models that must work: the toy one in both layouts, and the default one.

use std::path::{Path, PathBuf};

use crate::{BlockType, LayerTensor, ModelFiles, RopeLayout, TensorName};

pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

pub(super) fn toy(name: &str) -> ModelFiles {
    ModelFiles::open(&fixture("models").join(name)).expect("the fixture is a model")
}

/// Opens the model that the sidecar starts with; tests that need it fail without it.
#[track_caller]
pub(super) fn default_model() -> ModelFiles {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let path = models.join("smollm2-135m-instruct.gguf");
    assert!(path.exists(), "run cargo xtask model");
    ModelFiles::open(&path).expect("the default model is whole")
}

fn all_names(model: &ModelFiles) -> Vec<TensorName> {
    let layers = 0..model.config.n_layers;
    let layers = layers.flat_map(|layer_idx| LayerTensor::ALL.map(|tensor| TensorName::Layer(layer_idx, tensor)));
    [TensorName::Embedding, TensorName::OutputNorm, TensorName::Output]
        .into_iter()
        .chain(layers)
        .collect()
}

fn values(model: &ModelFiles, name: TensorName) -> Vec<f32> {
    let tensor = model.tensor(name).expect("the model has all its tensors");
    let mut values = vec![0.0; tensor.rows * tensor.cols];
    tensor
        .dequantize(&mut values)
        .expect("the buffer has the tensor's size");
    values
}

/// Reorders rows from pairs to halves, the inverse of what the converter to GGUF does.
fn in_halves(rows: &[f32], cols: usize, head_dim: usize) -> Vec<f32> {
    let half = head_dim / 2;
    let n_rows = rows.len() / cols;
    let source = |row: usize| {
        let (head, within) = (row / head_dim, row % head_dim);
        head * head_dim + 2 * (within % half) + within / half
    };
    (0..n_rows)
        .flat_map(|row| &rows[source(row) * cols..(source(row) + 1) * cols])
        .copied()
        .collect()
}

#[test]
fn both_layouts_of_the_toy_model_hold_the_same_weights() {
    let (pairs, halves) = (toy("toy-llama.gguf"), toy("toy-llama-hf"));
    assert_eq!(
        (pairs.config.rope_layout, halves.config.rope_layout),
        (RopeLayout::Interleaved, RopeLayout::HalfSplit)
    );
    let mut same = halves.config.clone();
    same.rope_layout = RopeLayout::Interleaved;
    assert_eq!(pairs.config, same);
    for name in all_names(&pairs) {
        let stored = values(&pairs, name);
        let stored = match name {
            TensorName::Layer(_, LayerTensor::Query | LayerTensor::Key) => {
                in_halves(&stored, pairs.config.hidden_size, pairs.config.head_dim)
            }
            _ => stored,
        };
        assert!(stored == values(&halves, name), "{name} differs");
        assert!(stored.iter().any(|value| *value != 0.0), "{name} is not empty");
    }
}

#[test]
fn both_layouts_of_the_toy_model_have_the_same_tokens() {
    let (gguf, folder) = (toy("toy-llama.gguf"), toy("toy-llama-hf"));
    assert_eq!(gguf.tokenizer.vocab_size(), folder.tokenizer.vocab_size());
    assert_eq!(gguf.chat_format, folder.chat_format);
    for text in [
        "Hello, you and the others!",
        "<|im_start|>user\n1984<|im_end|>",
        "  naïve 日本語 🙂\n\n\t",
        "",
    ] {
        let ids = gguf.tokenizer.encode_text(text).expect("bytes can write everything");
        assert_eq!(
            ids,
            folder.tokenizer.encode_text(text).expect("bytes can write everything")
        );
        assert_eq!(gguf.tokenizer.decode(&ids), text);
        let parsed = gguf
            .tokenizer
            .encode_template(text)
            .expect("bytes can write everything");
        assert_eq!(
            parsed,
            folder
                .tokenizer
                .encode_template(text)
                .expect("bytes can write everything")
        );
    }
    for id in 0..gguf.tokenizer.vocab_size() as u32 {
        assert_eq!(
            gguf.tokenizer.token_bytes(id),
            folder.tokenizer.token_bytes(id),
            "token {id}"
        );
    }
}

#[test]
fn the_quantised_toy_model_is_close_to_the_other() {
    let (exact, quantised) = (toy("toy-llama.gguf"), toy("toy-llama-q4_1.gguf"));
    for name in all_names(&exact) {
        let (exact, quantised) = (values(&exact, name), values(&quantised, name));
        let largest = exact.iter().fold(0_f32, |largest, value| largest.max(value.abs()));
        for (exact, quantised) in exact.iter().zip(&quantised) {
            // Half a step of 4 bits over the widest block.
            assert!((exact - quantised).abs() <= 2.0 * largest / 15.0 / 2.0 * 1.1, "{name}");
        }
    }
    let block_type = |name| {
        quantised
            .tensor(name)
            .expect("the model has all its tensors")
            .block_type
    };
    assert_eq!(block_type(TensorName::Embedding), BlockType::Q8_0);
    assert_eq!(block_type(TensorName::Layer(1, LayerTensor::FfnDown)), BlockType::Q4_1);
    assert_eq!(block_type(TensorName::OutputNorm), BlockType::F32);
}

#[test]
fn a_row_is_a_part_of_the_matrix() {
    let model = toy("toy-llama-q4_1.gguf");
    let tensor = model
        .tensor(TensorName::Embedding)
        .expect("the model has all its tensors");
    let all = values(&model, TensorName::Embedding);
    let mut row = vec![0.0; tensor.cols];
    for at in [0, 1, tensor.rows - 1] {
        tensor
            .dequantize_row(at, &mut row)
            .expect("the buffer has the row's size");
        assert_eq!(row, all[at * tensor.cols..(at + 1) * tensor.cols]);
    }
    assert!(
        model.tensor(TensorName::Layer(2, LayerTensor::Query)).is_err(),
        "the model has two layers"
    );
}

#[test]
fn fingerprints_distinguish_models() {
    let names = ["toy-llama.gguf", "toy-llama-q4_1.gguf", "toy-llama-hf"];
    let prints = names.map(|name| toy(name).fingerprint().to_owned());
    assert_eq!(prints, names.map(|name| toy(name).fingerprint().to_owned()));
    assert!(
        prints[0] != prints[1] && prints[1] != prints[2] && prints[0] != prints[2],
        "{prints:?}"
    );
    assert!(prints.iter().all(|print| print.len() == 16));
}

#[test]
fn the_default_model_has_its_known_sizes() {
    let model = default_model();
    let config = &model.config;
    assert_eq!(
        (config.n_layers, config.hidden_size, config.n_heads, config.n_kv_heads),
        (30, 576, 9, 3)
    );
    assert_eq!(
        (config.head_dim, config.intermediate_size, config.vocab_size),
        (64, 1536, 49_152)
    );
    assert_eq!(
        (config.context_tokens, config.rope_base, config.norm_eps),
        (8_192, 100_000.0, 1e-5)
    );
    assert_eq!(
        (config.bos, &config.stop_ids, config.tied_embedding),
        (None, &vec![0, 2], true)
    );
    for name in all_names(&model) {
        model.tensor(name).expect("the model has all its tensors");
    }
    let norm = values(&model, TensorName::OutputNorm);
    assert!(norm.iter().all(|value| value.is_finite()));
}
