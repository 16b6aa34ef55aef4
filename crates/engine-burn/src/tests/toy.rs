//! A toy Llama with random weights: what must hold for every model, every chunking and every device.

mod quantised;

use std::path::Path;
use std::sync::Arc;

use kv_cache::{CachePolicy, KvCacheError, RingSizes, SinkWindow};
use model_files::ModelFiles;

use crate::{
    BurnEngineError, ComputeDevice, DeviceChoice, LlamaModel, LogitsWanted, MAX_CHUNK, Precision, Quantise,
    SequenceCache,
};

const STREAMING: CachePolicy = CachePolicy::Streaming(SinkWindow::new(2, 6));

/// So small that the ring wraps every few tokens.
const SIZES: RingSizes = RingSizes {
    max_chunk: 16,
    rewind_tokens: 5,
};

fn load(name: &str, choice: DeviceChoice) -> LlamaModel {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/models")
        .join(name);
    let files = Arc::new(ModelFiles::open(&path).expect("the toy is part of the repository"));
    let device = ComputeDevice::open(choice, Precision::F32, Some(2)).expect("the device can be opened");
    LlamaModel::load(files, &device, Quantise::Off).expect("the toy loads")
}

fn toy() -> LlamaModel {
    load("toy-llama.gguf", DeviceChoice::Cpu)
}

/// Some text without meaning.
fn ids(len: usize) -> Vec<u32> {
    (0..len as u32).map(|i| (i * i * 31 + i * 7 + 5) % 295).collect()
}

fn small_cache(model: &LlamaModel, policy: CachePolicy) -> SequenceCache {
    model.new_cache_with_sizes(policy, SIZES).expect("a small cache")
}

/// The logits of all `ids`, in chunks of the given lengths, over and over.
fn logits(model: &LlamaModel, cache: &mut SequenceCache, ids: &[u32], chunks: &[usize]) -> Vec<f32> {
    let mut values = Vec::new();
    let (mut rest, mut lengths) = (ids, chunks.iter().cycle());
    while !rest.is_empty() {
        let len = rest.len().min(*lengths.next().expect("there is a length"));
        let (chunk, after) = rest.split_at(len);
        values.extend(
            model
                .forward(cache, chunk, LogitsWanted::All)
                .expect("the chunk fits")
                .into_values(),
        );
        rest = after;
    }
    values
}

#[track_caller]
fn check_close(got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len());
    let worst = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= tolerance, "off by up to {worst}");
}

#[test]
fn every_chunking_gives_the_same_logits_while_the_ring_wraps() {
    let (model, ids) = (toy(), ids(90));
    let one_by_one = logits(&model, &mut small_cache(&model, STREAMING), &ids, &[1]);
    for chunks in [&[2_usize][..], &[7], &[16], &[3, 1, 9, 16]] {
        check_close(
            &logits(&model, &mut small_cache(&model, STREAMING), &ids, chunks),
            &one_by_one,
            1e-4,
        );
    }
}

#[test]
fn without_sinks_and_without_a_window_it_still_computes() {
    let (model, ids) = (toy(), ids(40));
    for policy in [SinkWindow::new(0, 5), SinkWindow::new(3, 0), SinkWindow::new(0, 0)] {
        let policy = CachePolicy::Streaming(policy);
        let one_by_one = logits(&model, &mut small_cache(&model, policy), &ids, &[1]);
        check_close(
            &logits(&model, &mut small_cache(&model, policy), &ids, &[11]),
            &one_by_one,
            1e-4,
        );
    }
}

#[test]
fn the_two_file_formats_give_the_same_logits() {
    let ids = ids(30);
    let of = |name| {
        let model = load(name, DeviceChoice::Cpu);
        logits(&model, &mut small_cache(&model, STREAMING), &ids, &[10])
    };
    check_close(&of("toy-llama-hf"), &of("toy-llama.gguf"), 1e-6);
}

#[test]
fn a_sequence_that_went_back_goes_on_as_if_it_had_not_been_ahead() {
    let (model, ids) = (toy(), ids(60));
    let mut cache = small_cache(&model, STREAMING);
    let all = logits(&model, &mut cache, &ids, &[4]);
    cache.rewind(56).expect("the spare slots hold it");
    let vocab_size = model.config().vocab_size;
    check_close(
        &logits(&model, &mut cache, &ids[56..], &[1]),
        &all[56 * vocab_size..],
        1e-4,
    );
    cache.rewind(2).expect("the sinks are always there");
    check_close(
        &logits(&model, &mut cache, &ids[2..], &[4]),
        &all[2 * vocab_size..],
        1e-4,
    );
    assert!(matches!(
        cache.rewind(20),
        Err(BurnEngineError::Cache(KvCacheError::CannotRewind { .. }))
    ));
}

#[test]
fn a_stream_computes_the_same_a_billion_tokens_along() {
    let (model, ids) = (toy(), ids(40));
    let policy = CachePolicy::Streaming(SinkWindow::new(0, 6));
    let near = logits(&model, &mut small_cache(&model, policy), &ids, &[8]);
    let mut cache = small_cache(&model, policy);
    cache.start_at(1_000_000_007, &mut || 1.0);
    let far = logits(&model, &mut cache, &ids, &[8]);
    // By then two layers of six tokens have forgotten what was there before.
    let from = 16 * model.config().vocab_size;
    check_close(&far[from..], &near[from..], 1e-4);
}

#[test]
fn a_dense_cache_sees_everything_and_ends() {
    let (model, ids) = (toy(), ids(30));
    let mut dense = small_cache(&model, CachePolicy::Dense { max_tokens: 30 });
    let wide = CachePolicy::Streaming(SinkWindow::new(4, 100));
    let expected = logits(&model, &mut small_cache(&model, wide), &ids, &[9]);
    check_close(&logits(&model, &mut dense, &ids, &[10]), &expected, 1e-4);
    let full = model.forward(&mut dense, &[1], LogitsWanted::Last);
    assert!(
        matches!(
            full,
            Err(BurnEngineError::Cache(KvCacheError::DenseFull { position: 30, .. }))
        ),
        "{full:?}"
    );
    assert_eq!(dense.position(), 30);
}

#[test]
fn a_bad_chunk_is_named_and_changes_nothing() {
    let model = toy();
    let mut cache = small_cache(&model, STREAMING);
    let mut refused = |ids: &[u32]| {
        model
            .forward(&mut cache, ids, LogitsWanted::None)
            .expect_err("it is bad")
            .to_string()
    };
    assert_eq!(refused(&[]), "a chunk has no tokens");
    assert_eq!(refused(&[1, 295]), "token 295 is not in the vocabulary of 295 tokens");
    assert_eq!(
        refused(&vec![1; MAX_CHUNK + 1]),
        "a chunk of 513 tokens is longer than 512"
    );
    assert_eq!((cache.position(), cache.bytes()), (0, 0));
}

#[cfg(not(feature = "gpu"))]
#[test]
fn without_the_feature_a_gpu_is_refused_by_name() {
    let refused = ComputeDevice::open(DeviceChoice::Gpu, Precision::Auto, None).expect_err("there is no code for it");
    assert_eq!(
        refused.to_string(),
        "no GPU can be used: this program was built without the feature `gpu`"
    );
}
