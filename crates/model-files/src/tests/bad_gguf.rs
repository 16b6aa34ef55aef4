//! Tests of GGUF files that are broken, hostile or not supported: each is a named error, and nothing is allocated
//! because of what they declare.

use proptest::{prelude::*, test_runner::RngSeed};

use super::gguf_builder::{GgufBuilder, array, bool_value, f32_value, f32s, file, i32s, text, texts, typed, u32_value};
use crate::{ModelFileError, ModelFiles, gguf::Gguf};

/// Opens the tiny model after `corrupt` has changed it, and compares the message (without the path).
#[track_caller]
fn check(message: &str, corrupt: impl FnOnce(&mut GgufBuilder)) {
    let mut builder = GgufBuilder::model();
    corrupt(&mut builder);
    check_bytes(message, &builder.bytes());
}

#[track_caller]
fn check_bytes(message: &str, bytes: &[u8]) {
    let (_folder, path) = file(bytes);
    let error = ModelFiles::open(&path).expect_err("the file is corrupted");
    assert_eq!(error.cause().to_string(), message);
    assert!(error.to_string().contains("model.gguf"), "{error} names the file");
}

#[test]
fn the_uncorrupted_model_opens() {
    let (_folder, path) = file(&GgufBuilder::model().bytes());
    let model = ModelFiles::open(&path).expect("the builder makes a whole model");
    assert_eq!(
        (model.config.n_kv_heads, model.config.head_dim, &model.config.stop_ids),
        (2, 16, &vec![0])
    );
    assert!(model.config.tied_embedding);
    assert!(model.chat_format.is_none());
    assert_eq!(model.name, "model");
}

#[test]
fn not_a_gguf_file() {
    check("not a GGUF file: it starts with [47, 47, 4d, 4c]", |builder| {
        builder.magic = *b"GGML"
    });
    check(
        "GGUF version 1 is not supported (2 and 3 are; big-endian files are not)",
        |builder| builder.version = 1,
    );
    check(
        "GGUF version 50331648 is not supported (2 and 3 are; big-endian files are not)",
        |builder| {
            builder.version = 3_u32.swap_bytes();
        },
    );
    let (_folder, path) = file(b"");
    assert!(matches!(ModelFiles::open(&path), Err(ModelFileError::Empty { .. })));
    let gone = ModelFiles::open(&path.with_file_name("gone.gguf"));
    assert!(matches!(gone, Err(ModelFileError::Open { .. })));
}

#[test]
fn counts_beyond_the_file() {
    check("18446744073709551615 tensors are over the limit of 65536", |builder| {
        builder.n_tensors = Some(u64::MAX)
    });
    check("1000000 tensors are over the limit of 65536", |builder| {
        builder.n_tensors = Some(1_000_000)
    });
    check(
        "9223372036854775808 metadata entries are over the limit of 4096",
        |builder| builder.n_metadata = Some(1 << 63),
    );
    let bytes = [
        b"GGUF".as_slice(),
        &3_u32.to_le_bytes(),
        &60_000_u64.to_le_bytes(),
        &0_u64.to_le_bytes(),
    ]
    .concat();
    check_bytes(
        "the file ends inside tensors: 1920000 bytes needed at byte 16, 8 left",
        &bytes,
    );
}

#[test]
fn lengths_beyond_the_file() {
    let mut builder = GgufBuilder::model();
    let at = builder.header().len();
    builder.set("llama.x", typed(8, &(1_u64 << 63).to_le_bytes()));
    builder.tensors.clear();
    let error = Gguf::parse(&builder.header())
        .err()
        .expect("the string is longer than the file")
        .to_string();
    assert!(
        error.starts_with("the file ends inside a metadata value: 9223372036854775808 bytes needed"),
        "{error}"
    );
    assert!(at > 0);
    let long = |element| {
        let mut builder = GgufBuilder::model();
        builder.set("llama.x", array(element, 1 << 63, &[]));
        Gguf::parse(&builder.bytes())
            .err()
            .expect("the array is longer than the file")
            .to_string()
    };
    for element in 0..=12 {
        let (error, wanted) = (
            long(element),
            if element == 9 {
                "unknown type 9"
            } else {
                "inside a metadata array"
            },
        );
        assert!(error.contains(wanted), "{error}");
    }
    let key = [(1_u64 << 63).to_le_bytes().as_slice(), b"key"].concat();
    let bytes = [
        b"GGUF".as_slice(),
        &3_u32.to_le_bytes(),
        &[0; 8],
        &1_u64.to_le_bytes(),
        &key,
        &[0; 8],
    ]
    .concat();
    check_bytes(
        "the file ends inside a metadata key: 9223372036854775808 bytes needed at byte 32, 11 left",
        &bytes,
    );
}

#[test]
fn invalid_metadata() {
    check("metadata \"llama.x\" has the unknown type 13", |builder| {
        builder.set("llama.x", typed(13, &[0; 8]))
    });
    check("metadata \"llama.x\" has the unknown type 9", |builder| {
        builder.set("llama.x", array(9, 1, &[0; 12]))
    });
    check("\"llama.x\" is 2, expected 0 or 1", |builder| {
        builder.set("llama.x", typed(7, &[2]))
    });
    check("\"llama.x\" occurs twice", |builder| {
        builder.set("llama.x", u32_value(1));
        let twice = builder.metadata[builder.metadata.len() - 1].clone();
        builder.metadata.push(twice);
    });
    check("a metadata key is not UTF-8", |builder| {
        builder.metadata.push((vec![0xFF; 3], u32_value(1)))
    });
    check("300 bytes of a name are over the limit of 256", |builder| {
        builder.set(&"k".repeat(300), u32_value(1))
    });
    check("metadata \"general.name\" is not UTF-8", |builder| {
        builder.set(
            "general.name",
            typed(8, &[[1, 0, 0, 0, 0, 0, 0, 0].as_slice(), &[0xFF]].concat()),
        );
    });
    check(
        "\"general.alignment\" is 24, expected a power of two up to 2097152",
        |builder| {
            builder.set("general.alignment", u32_value(24));
        },
    );
    check(
        "\"general.alignment\" is 0, expected a power of two up to 2097152",
        |builder| {
            builder.set("general.alignment", u32_value(0));
        },
    );
    check(
        "5000 bytes of a string in an array are over the limit of 4096",
        |builder| {
            builder.set("tokenizer.ggml.tokens", texts(&[&"x".repeat(5_000)]));
        },
    );
}

#[test]
fn invalid_tensors() {
    const QUERY: &str = "blk.0.attn_q.weight";
    check(
        "tensor \"blk.0.attn_q.weight\" has 0 dimensions, expected 1 to 4",
        |builder| builder.tensor(QUERY).dims.clear(),
    );
    check(
        "tensor \"blk.0.attn_q.weight\" has 5 dimensions, expected 1 to 4",
        |builder| {
            builder.tensor(QUERY).dims = vec![1; 5];
        },
    );
    check(
        "tensor \"blk.0.attn_q.weight\" has the impossible shape [32, 0]",
        |builder| {
            builder.tensor(QUERY).dims = vec![32, 0];
        },
    );
    check(
        "tensor \"blk.0.attn_q.weight\" has the impossible shape [4294967296, 4294967296]",
        |builder| {
            builder.tensor(QUERY).dims = vec![1 << 32, 1 << 32];
        },
    );
    check(
        "tensor \"blk.0.attn_q.weight\" has the impossible shape [32, 288230376151711744]",
        |builder| {
            builder.tensor(QUERY).dims = vec![32, 1 << 58];
        },
    );
    for unknown in [4, 15, 99, u32::MAX] {
        let message = format!(
            "tensor \"blk.0.attn_q.weight\": ggml tensor type {unknown} is not supported \
             (supported: F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K)"
        );
        check(&message, |builder| builder.tensor(QUERY).type_id = unknown);
    }
    check(
        "tensor \"blk.0.attn_q.weight\": 33 values are not whole blocks of Q4_0 (32 values each)",
        |builder| {
            builder.tensor(QUERY).dims = vec![33, 32];
            builder.tensor(QUERY).type_id = 2;
        },
    );
    check("\"output_norm.weight\" occurs twice", |builder| {
        builder.push("output_norm.weight", vec![32])
    });
}

#[test]
fn tensors_with_invalid_offsets() {
    let norm = "output_norm.weight";
    check(
        "tensor \"output_norm.weight\" takes 128 bytes at 1048576, but the file has 42112 bytes of data",
        |builder| {
            builder.tensor(norm).offset = 1 << 20;
        },
    );
    check(
        "tensor \"output_norm.weight\" starts at 770, which is not a multiple of 32",
        |builder| {
            builder.tensor(norm).offset = 770;
        },
    );
    check(
        "tensors \"token_embd.weight\" and \"output_norm.weight\" overlap",
        |builder| builder.tensor(norm).offset = 736,
    );
    check(
        "tensors \"blk.0.ffn_gate.weight\" and \"blk.0.ffn_up.weight\" overlap",
        |builder| {
            builder.tensor("blk.0.ffn_up.weight").offset = builder.tensor("blk.0.ffn_gate.weight").offset + 4096;
        },
    );
    let mut builder = GgufBuilder::model();
    builder.tensor(norm).offset = u64::MAX - 31;
    let error = Gguf::parse(&builder.bytes())
        .err()
        .expect("the offset is beyond everything");
    assert!(matches!(error, ModelFileError::TensorPastEnd { .. }), "{error}");
}

#[test]
fn unsupported_models() {
    let scaling = "is not supported (plain rotary positions are)";
    check("architecture \"qwen2\" is not supported (llama is)", |builder| {
        builder.set("general.architecture", text("qwen2"));
    });
    check("architecture \"(none)\" is not supported (llama is)", |builder| {
        builder.remove("general.architecture")
    });
    check(&format!("rope scaling \"yarn\" {scaling}"), |builder| {
        builder.set("llama.rope.scaling.type", text("yarn"))
    });
    check(&format!("rope scaling \"4\" {scaling}"), |builder| {
        builder.set("llama.rope.scaling.factor", f32_value(4.0))
    });
    check(
        "rope scaling \"rope_freqs.weight\" is not supported (plain rotary positions)",
        |builder| {
            builder.push("rope_freqs.weight", vec![32]);
        },
    );
    check(
        "bias \"blk.0.attn_q.bias\" is not supported (matrices without one)",
        |builder| {
            builder.push("blk.0.attn_q.bias", vec![32]);
        },
    );
    check(
        "tensor \"blk.0.attn_q_norm.weight\" is not part of a Llama model",
        |builder| {
            builder.push("blk.0.attn_q_norm.weight", vec![32]);
        },
    );
    check(
        "number of experts \"8\" is not supported (dense feed-forward layers are)",
        |builder| {
            builder.set("llama.expert_count", u32_value(8));
        },
    );
    let heads = "is not supported (heads that are rotated whole, with values as long as keys, are)";
    check(
        &format!("head size \"llama.rope.dimension_count 8\" {heads}"),
        |builder| {
            builder.set("llama.rope.dimension_count", u32_value(8));
        },
    );
    check(
        "pre-tokenizer \"qwen2\" is not supported (smollm, gpt-2, default and llama-bpe are)",
        |builder| {
            builder.set("tokenizer.ggml.pre", text("qwen2"));
        },
    );
    check(
        "tokenizer model \"t5\" is not supported (gpt2 and llama are)",
        |builder| {
            builder.set("tokenizer.ggml.model", text("t5"));
        },
    );
}

#[test]
fn a_sliding_window_is_ignored() {
    let mut builder = GgufBuilder::model();
    builder.set("llama.attention.sliding_window", u32_value(16));
    let (_folder, path) = file(&builder.bytes());
    ModelFiles::open(&path).expect("Mistral runs without its sliding window");
}

#[test]
fn inconsistent_sizes() {
    check("\"llama.block_count\" is missing", |builder| {
        builder.remove("llama.block_count")
    });
    check("\"llama.block_count\" is 0, expected 1 to 2147483648", |builder| {
        builder.set("llama.block_count", u32_value(0))
    });
    check(
        "\"llama.block_count\" is \"1\", expected a whole number that is not negative",
        |builder| {
            builder.set("llama.block_count", text("1"));
        },
    );
    check("\"number of layers\" is 5000, expected at most 1024", |builder| {
        builder.set("llama.block_count", u32_value(5_000));
    });
    check("tensor \"blk.1.attn_norm.weight\" is missing", |builder| {
        builder.set("llama.block_count", u32_value(2))
    });
    check(
        "tensor \"blk.0.attn_norm.weight\" is [1, 32], expected [1, 64] (rows, columns)",
        |builder| {
            builder.set("llama.embedding_length", u32_value(64));
            builder.tensor("token_embd.weight").dims = vec![64, 3];
            builder.set("tokenizer.ggml.tokens", texts(&["<|im_end|>", "a", "b"]));
            builder.set("tokenizer.ggml.token_type", i32s(&[3, 1, 1]));
            builder.set("tokenizer.ggml.merges", texts(&[]));
            builder.tensor("output_norm.weight").dims = vec![64];
            builder.tensor("output_norm.weight").offset = builder.data_bytes as u64;
            builder.data_bytes += 256;
        },
    );
    check(
        "\"number of key-value heads\" is 3, expected a divisor of the number of heads",
        |builder| {
            builder.set("llama.attention.head_count_kv", u32_value(3));
        },
    );
    check(
        "\"llama.attention.head_count\" is 5, expected a divisor of the embedding length",
        |builder| {
            builder.set("llama.attention.head_count", u32_value(5));
        },
    );
    check("\"norm epsilon\" is NaN, expected above 0", |builder| {
        builder.set("llama.attention.layer_norm_rms_epsilon", f32_value(f32::NAN));
    });
    check("\"rope base\" is inf, expected above 1", |builder| {
        builder.set("llama.rope.freq_base", f32_value(f32::INFINITY))
    });
}

#[test]
fn inconsistent_vocabularies() {
    let types = "tokenizer.ggml.token_type";
    check(
        "\"tokenizer.ggml.token_type\" is 2, expected one type for each token",
        |builder| builder.set(types, i32s(&[1, 1])),
    );
    check(
        "\"tokenizer.ggml.eos_token_id\" is 6, expected an id of the vocabulary",
        |builder| {
            builder.set("tokenizer.ggml.eos_token_id", u32_value(6));
        },
    );
    check(
        "\"vocabulary size\" is 6, expected at least the tokenizer's, at most 1048576",
        |builder| {
            builder.set(
                "tokenizer.ggml.tokens",
                texts(&["<|im_end|>", "a", "b", "ab", "c", "d", "e"]),
            );
            builder.set(types, i32s(&[3, 1, 1, 1, 1, 1, 1]));
        },
    );
    check(
        "\"tokenizer.ggml.merges\" is \"ab\", expected two texts with a space between them",
        |builder| {
            builder.set("tokenizer.ggml.merges", texts(&["ab"]));
        },
    );
    check("tokenizer: Token `c` out of vocabulary", |builder| {
        builder.set("tokenizer.ggml.merges", texts(&["a c"]))
    });
    check(
        "\"tokenizer.ggml.scores\" is 1, expected one score for each token",
        |builder| {
            builder.set("tokenizer.ggml.model", text("llama"));
            builder.set("tokenizer.ggml.scores", f32s(&[0.0]));
        },
    );
    check(
        "\"tokenizer.ggml.add_bos_token\" is 1, expected true or false",
        |builder| {
            builder.set("tokenizer.ggml.add_bos_token", u32_value(1));
        },
    );
    check(
        "\"tokenizer.ggml.bos_token_id\" is 77, expected an id of the vocabulary",
        |builder| {
            builder.set("tokenizer.ggml.add_bos_token", bool_value(true));
            builder.set("tokenizer.ggml.bos_token_id", u32_value(77));
        },
    );
}

#[test]
fn truncated_at_every_byte() {
    let builder = GgufBuilder::model();
    let (header, whole) = (builder.header().len(), builder.bytes());
    for len in 0..header {
        let error = Gguf::parse(&whole[..len]).err().expect("the header is cut");
        assert!(
            matches!(error, ModelFileError::Truncated { .. }),
            "cut at {len}: {error}"
        );
    }
    for len in header..whole.len() {
        let error = Gguf::parse(&whole[..len]).err().expect("the data is cut");
        assert!(
            matches!(error, ModelFileError::TensorPastEnd { .. }),
            "cut at {len}: {error}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    /// Opening ends whatever bits are flipped, and an accepted file can be read.
    #[test]
    fn flipped_bits_never_crash(flips in prop::collection::vec((0_usize..2_048, 0_u8..8), 1..6)) {
        let mut bytes = GgufBuilder::model().bytes();
        let header = GgufBuilder::model().header().len();
        for (at, bit) in flips {
            bytes[at % header] ^= 1 << bit;
        }
        if let Ok(gguf) = Gguf::parse(&bytes) {
            for tensor in &gguf.tensors {
                prop_assert!(tensor.span.end <= bytes.len());
                prop_assert_eq!(Some(tensor.span.len()), tensor.block_type.bytes_for(tensor.rows * tensor.cols));
            }
            let (_folder, path) = file(&bytes);
            drop(ModelFiles::open(&path));
        }
    }
}
