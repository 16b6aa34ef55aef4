//! Hugging Face folders of one layer in f32, with the toy's tokenizer, of any width and weights.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

const VOCAB_SIZE: usize = 295;
const INNER: usize = 128;
const HEAD_DIM: usize = 16;

/// A model with heads of 16, of which one holds keys and values; `change` gets every tensor by its name.
pub(super) fn with_hidden_size(hidden: usize, change: impl Fn(&str, &mut [f32])) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let toy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/toy-llama-hf");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(toy.join(name), folder.path().join(name)).expect("it can be copied");
    }
    let config = fs::read(toy.join("config.json")).expect("the toy is part of the repository");
    let mut config: Map<String, Value> = serde_json::from_slice(&config).expect("it is an object");
    for (key, value) in [
        ("hidden_size", hidden),
        ("intermediate_size", INNER),
        ("num_hidden_layers", 1),
        ("num_attention_heads", hidden / HEAD_DIM),
        ("num_key_value_heads", 1),
    ] {
        config.insert(key.to_owned(), json!(value));
    }
    let config = serde_json::to_vec(&config).expect("it is JSON");
    fs::write(folder.path().join("config.json"), config).expect("it can be written");
    fs::write(folder.path().join("model.safetensors"), tensors(hidden, change)).expect("it can be written");
    folder
}

fn tensors(hidden: usize, change: impl Fn(&str, &mut [f32])) -> Vec<u8> {
    let layer = |name: &str| format!("model.layers.0.{name}.weight");
    let shapes = [
        ("model.embed_tokens.weight".to_owned(), vec![VOCAB_SIZE, hidden]),
        ("model.norm.weight".to_owned(), vec![hidden]),
        (layer("input_layernorm"), vec![hidden]),
        (layer("self_attn.q_proj"), vec![hidden, hidden]),
        (layer("self_attn.k_proj"), vec![HEAD_DIM, hidden]),
        (layer("self_attn.v_proj"), vec![HEAD_DIM, hidden]),
        (layer("self_attn.o_proj"), vec![hidden, hidden]),
        (layer("post_attention_layernorm"), vec![hidden]),
        (layer("mlp.gate_proj"), vec![INNER, hidden]),
        (layer("mlp.up_proj"), vec![INNER, hidden]),
        (layer("mlp.down_proj"), vec![hidden, INNER]),
    ];
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, shape) in shapes {
        let mut values: Vec<f32> = (0..shape.iter().product::<usize>()).map(weight).collect();
        change(&name, &mut values);
        let start = data.len();
        data.extend(values.into_iter().flat_map(f32::to_le_bytes));
        let entry = json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] });
        header.insert(name, entry);
    }
    let header = serde_json::to_vec(&header).expect("it is JSON");
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// Something between -0.25 and 0.25 without a pattern that matters.
fn weight(idx: usize) -> f32 {
    let mixed = (idx as u32).wrapping_mul(2_654_435_761) >> 16;
    mixed as f32 / 131_072.0 - 0.25
}
