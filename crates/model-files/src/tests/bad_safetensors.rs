//! Tests of Hugging Face folders that are broken, hostile or not supported.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{ModelFileError, ModelFiles};

/// Copies the toy model's folder, to be corrupted.
fn toy() -> TempDir {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/toy-llama-hf");
    for file in [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
    ] {
        fs::copy(source.join(file), folder.path().join(file)).expect("the fixture is there");
    }
    folder
}

/// Opens the folder after `corrupt` has changed it, and compares the message.
#[track_caller]
fn check(message: &str, corrupt: impl FnOnce(&Path)) {
    let folder = toy();
    corrupt(folder.path());
    let error = ModelFiles::open(folder.path()).expect_err("the folder is corrupted");
    assert_eq!(
        error
            .cause()
            .to_string()
            .replace(&folder.path().display().to_string(), "FOLDER"),
        message
    );
}

/// Replaces model.safetensors by a header with any length and any data.
fn safetensors(folder: &Path, length: u64, header: &[u8], data_bytes: usize) {
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.resize(bytes.len() + data_bytes, 0);
    fs::write(folder.join("model.safetensors"), bytes).expect("the temporary folder can be written");
}

/// Opens a folder whose model.safetensors has this header, followed by `data_bytes` of data.
#[track_caller]
fn check_header(message: &str, header: &str, data_bytes: usize) {
    check(message, |folder| {
        safetensors(folder, header.len() as u64, header.as_bytes(), data_bytes)
    });
}

fn edit(folder: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let text = fs::read(folder.join(file)).expect("the fixture is there");
    let mut json = serde_json::from_slice(&text).expect("the fixture is JSON");
    change(&mut json);
    fs::write(folder.join(file), json.to_string()).expect("the temporary folder can be written");
}

#[test]
fn header_lengths() {
    check(
        "safetensors header: EOF while parsing a value at line 1 column 0",
        |folder| {
            safetensors(folder, 0, b"", 0);
        },
    );
    check(
        "the file ends inside the header: 1 bytes needed at byte 8, 0 left",
        |folder| {
            safetensors(folder, 1, b"", 0);
        },
    );
    let limit = "bytes of header are over the limit of 100000000";
    for length in [100_000_001, u64::MAX >> 1, u64::MAX] {
        check(&format!("{length} {limit}"), |folder| {
            safetensors(folder, length, b"{}", 0)
        });
    }
    check(
        "the file ends inside the header: 99999999 bytes needed at byte 8, 2 left",
        |folder| {
            safetensors(folder, 99_999_999, b"{}", 0);
        },
    );
    check(
        "the file ends inside the length of the header: 8 bytes needed at byte 0, 7 left",
        |folder| {
            fs::write(folder.join("model.safetensors"), [0; 7]).expect("the temporary folder can be written");
        },
    );
    check("model file \"FOLDER/model.safetensors\" is empty", |folder| {
        fs::write(folder.join("model.safetensors"), []).expect("the temporary folder can be written");
    });
}

#[test]
fn headers_with_false_offsets() {
    let f32 = |name: &str, shape: &str, start: i64, end: i64| {
        format!(r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    };
    let both = |second: String| format!("{{{},{second}}}", f32("a", "[2,2]", 0, 16));
    check_header("\"a\" occurs twice", &both(f32("a", "[2,2]", 16, 32)), 32);
    check_header(
        "safetensors header: invalid offset for tensor `b`",
        &both(f32("b", "[2,2]", 8, 24)),
        24,
    );
    check_header(
        "safetensors header: invalid offset for tensor `b`",
        &both(f32("b", "[2,2]", 20, 36)),
        36,
    );
    let mismatch = "safetensors header: invalid shape, data type, or offset for tensor";
    check_header(mismatch, &both(f32("b", "[2,3]", 16, 32)), 32);
    check_header(
        "safetensors header: incomplete metadata, file not fully covered",
        &both(f32("b", "[2,2]", 16, 32)),
        16,
    );
    check_header(
        "safetensors header: incomplete metadata, file not fully covered",
        &both(f32("b", "[2,2]", 16, 32)),
        33,
    );
    let overflow = "safetensors header: overflow computing buffer size from shape and/or element type";
    check_header(overflow, &both(f32("b", "[4294967296,4294967296]", 16, 32)), 32);
    check_header(
        "tensor \"a\" has the data type I64 (supported: F32, F16, BF16)",
        r#"{"a":{"dtype":"I64","shape":[2],"data_offsets":[0,16]}}"#,
        16,
    );
    check_header(
        "tensor \"a\" has the impossible shape [1, 2, 2]",
        &format!("{{{}}}", f32("a", "[1,2,2]", 0, 16)),
        16,
    );
    for (header, what) in [
        (both(f32("b", "[2,2]", -16, 0)), "invalid value: integer `-16`"),
        (
            r#"{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}"#.to_owned(),
            "unknown variant `F99`",
        ),
    ] {
        let folder = toy();
        safetensors(folder.path(), header.len() as u64, header.as_bytes(), 32);
        let error = ModelFiles::open(folder.path())
            .expect_err("the header is false")
            .to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn headers_over_the_limits() {
    let tensor = |name: usize| format!(r#""{name}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#);
    let million = format!("{{{}}}", (0..1_000_000).map(tensor).collect::<Vec<_>>().join(","));
    check_header("65537 tensors are over the limit of 65536", &million, 0);
    let long = format!(
        r#"{{"{}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#,
        "n".repeat(1_000)
    );
    check_header("1000 bytes of a name are over the limit of 256", &long, 4);
    let deep = format!(r#"{{"a":{}"#, "[".repeat(1_000_000));
    let folder = toy();
    safetensors(folder.path(), deep.len() as u64, deep.as_bytes(), 0);
    assert!(
        ModelFiles::open(folder.path()).is_err(),
        "a million open brackets are no header"
    );
}

#[test]
fn truncated_at_every_byte_of_the_header() {
    let folder = toy();
    let path = folder.path().join("model.safetensors");
    let whole = fs::read(&path).expect("the fixture is there");
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().expect("eight bytes")) as usize;
    for len in (0..header).chain([header, whole.len() - 1]) {
        fs::write(&path, &whole[..len]).expect("the temporary folder can be written");
        let error = ModelFiles::open(folder.path()).expect_err("the file is cut");
        let cut = matches!(
            error.cause(),
            ModelFileError::Truncated { .. } | ModelFileError::Empty { .. }
        );
        assert!(cut || len >= header, "cut at {len}: {error}");
    }
}

#[test]
fn unsupported_configs() {
    let set =
        |key: &'static str, value: Value| move |folder: &Path| edit(folder, "config.json", |json| json[key] = value);
    check(
        "model type \"qwen2\" is not supported (llama and mistral are)",
        set("model_type", json!("qwen2")),
    );
    let scaling = "is not supported (plain rotary positions are)";
    check(
        &format!("rope scaling \"llama3\" {scaling}"),
        set("rope_scaling", json!({"rope_type": "llama3", "factor": 8.0})),
    );
    check(
        &format!("rope scaling \"linear\" {scaling}"),
        set("rope_scaling", json!({"type": "linear", "factor": 2.0})),
    );
    check(
        "sliding window \"4096\" is not supported (only Mistral's is known to be safe to leave out)",
        set("sliding_window", json!(4096)),
    );
    check(
        "bias \"in attention or feed-forward\" is not supported (matrices without one are)",
        set("attention_bias", json!(true)),
    );
    check(
        "activation \"gelu\" is not supported (silu is)",
        set("hidden_act", json!("gelu")),
    );
    check(
        "quantization \"quantization_config\" is not supported (F32, F16 and BF16 are)",
        set("quantization_config", json!({"quant_method": "gptq"})),
    );
    check(
        "\"hidden_size\" is 9223372036854775808, expected 1 to 2147483648",
        set("hidden_size", json!(1_u64 << 63)),
    );
    check(
        "\"number of layers\" is 1000000000, expected at most 1024",
        set("num_hidden_layers", json!(1_000_000_000)),
    );
    check(
        "\"eos_token_id\" is 999, expected an id of the vocabulary",
        set("eos_token_id", json!([2, 999])),
    );
    check(
        "tensor \"lm_head.weight\" is missing",
        set("tie_word_embeddings", json!(false)),
    );
    check(
        "tensor \"model.layers.2.input_layernorm.weight\" is missing",
        set("num_hidden_layers", json!(3)),
    );
    check(
        "tensor \"model.layers.1.input_layernorm.weight\" is not part of a Llama model",
        set("num_hidden_layers", json!(1)),
    );
}

#[test]
fn missing_files() {
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        check(&format!("model folder \"FOLDER\" has no {file}"), |folder| {
            fs::remove_file(folder.join(file)).expect("the copy is there");
        });
    }
    let folder = toy();
    fs::remove_file(folder.path().join("tokenizer_config.json")).expect("the copy is there");
    let model = ModelFiles::open(folder.path()).expect("without tokenizer_config.json there is no template");
    assert!(model.chat_format.is_none());
}

#[test]
fn unsupported_tokenizers() {
    let set = |key: &'static str, value: Value| {
        move |folder: &Path| edit(folder, "tokenizer.json", |json| json["model"][key] = value)
    };
    check(
        "tokenizer model \"BPE with dropout\" is not supported (BPE without dropout is)",
        set("dropout", json!(0.1)),
    );
    check(
        "tokenizer decoder \"of this kind\" is not supported (ByteLevel, Metaspace and ByteFallback are)",
        |folder| {
            edit(folder, "tokenizer.json", |json| json["decoder"] = Value::Null);
        },
    );
    check("tokenizer: added token \"<|im_end|>\" has two ids", |folder| {
        edit(folder, "tokenizer.json", |json| {
            json["added_tokens"][2]["id"] = json!(9)
        });
    });
    check(
        "tokenizer: added token \"<|new|>\" has the id of another token",
        |folder| {
            edit(folder, "tokenizer.json", |json| {
                json["added_tokens"][2] = json!({"id": 9, "content": "<|new|>"})
            });
        },
    );
    check("4294967296 tokens are over the limit of 1048576", |folder| {
        edit(folder, "tokenizer.json", |json| {
            json["added_tokens"][2] = json!({"id": u32::MAX, "content": "<|new|>"})
        });
    });
    check("8388609 bytes are over the limit of 8388608", |folder| {
        fs::write(folder.join("config.json"), vec![b' '; (8 << 20) + 1]).expect("the temporary folder can be written");
    });
}

#[test]
fn shards_with_an_index() {
    let write_index = |folder: &Path, map: Value| {
        fs::write(
            folder.join("model.safetensors.index.json"),
            json!({"weight_map": map}).to_string(),
        )
        .expect("the temporary folder can be written");
    };
    let folder = toy();
    write_index(folder.path(), json!({"model.norm.weight": "model.safetensors"}));
    ModelFiles::open(folder.path()).expect("an index of one file is a model too");
    check("tensor \"more\" is missing", |folder| {
        write_index(folder, json!({"more": "model.safetensors"}))
    });
    for outside in ["../model.safetensors", "/etc/passwd", "sub/model.safetensors", "", ".."] {
        let message = format!("\"weight_map\" is {outside:?}, expected names of files in the same folder");
        check(&message, |folder| {
            write_index(folder, json!({"model.norm.weight": outside}))
        });
    }
    check("\"lm_head.weight\" occurs twice", |folder| {
        for file in ["a.safetensors", "b.safetensors"] {
            let header = br#"{"lm_head.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
            safetensors(folder, header.len() as u64, header, 4);
            fs::rename(folder.join("model.safetensors"), folder.join(file)).expect("the file was just written");
        }
        write_index(folder, json!({"x": "a.safetensors", "y": "b.safetensors"}));
    });
}

#[test]
fn tokenizers_that_make_their_reader_panic() {
    check("tokenizer: it is described in a way that can't be read", |folder| {
        edit(folder, "tokenizer.json", |json| {
            json["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": 5});
        });
    });
    check("tokenizer: it is described in a way that can't be read", |folder| {
        edit(folder, "tokenizer.json", |json| {
            json["model"]["continuing_subword_prefix"] = json!("##")
        });
    });
    let affixes = "BPE with marks inside or after words";
    check(
        &format!("tokenizer model \"{affixes}\" is not supported (BPE without dropout is)"),
        |folder| {
            edit(folder, "tokenizer.json", |json| {
                json["model"]["end_of_word_suffix"] = json!("</w>")
            });
        },
    );
}
