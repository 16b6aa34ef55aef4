//! The CPU's own backend: the same bits in any chunks and on any threads, and attention in f16 close to burn's.

use std::path::Path;
use std::sync::Arc;

use kv_cache::{CachePolicy, RingSizes, SinkWindow};
use model_files::ModelFiles;

use crate::{
    BurnEngineError, ComputeDevice, DeviceChoice, LlamaModel, LogitsWanted, MAX_CHUNK, Precision, Quantise,
    SequenceCache, SequenceChunk,
};

/// What keys and values in f16 may change in the toy's logits, which are up to 7, in the mean: the largest change is
/// luck.
const TOLERANCE_F16: f32 = 5e-3;

fn load(name: &str, precision: Precision, threads: usize) -> LlamaModel {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/models")
        .join(name);
    let files = Arc::new(ModelFiles::open(&path).expect("the toy is part of the repository"));
    let device = ComputeDevice::open(DeviceChoice::Cpu, precision, Some(threads)).expect("the CPU is there");
    LlamaModel::load(files, &device, Quantise::Off).expect("the toy loads")
}

/// Some text without meaning.
fn ids(len: usize) -> Vec<u32> {
    (0..len as u32).map(|i| (i * i * 31 + i * 7 + 5) % 295).collect()
}

fn cache(model: &LlamaModel, policy: CachePolicy) -> SequenceCache {
    let room = RingSizes {
        max_chunk: MAX_CHUNK as u64,
        rewind_tokens: 40,
    };
    model.new_cache_with_sizes(policy, room).expect("a small cache")
}

/// The logits of all `ids`, in chunks of a length.
fn logits(model: &LlamaModel, cache: &mut SequenceCache, ids: &[u32], chunk: usize) -> Vec<f32> {
    let mut values = Vec::new();
    for chunk in ids.chunks(chunk) {
        let logits = model.forward(cache, chunk, LogitsWanted::All);
        values.extend(logits.expect("the chunk fits").into_values());
    }
    values
}

#[track_caller]
fn check_bits(got: &[f32], expected: &[f32], what: &str) {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert!(bits(got) == bits(expected), "{what} changes bits");
}

#[test]
fn the_fast_path_gives_the_same_bits_in_any_chunks_on_any_threads() {
    let ids = ids(800);
    for policy in [
        CachePolicy::Streaming(SinkWindow::new(4, 124)),
        CachePolicy::Streaming(SinkWindow::new(0, 30)),
        CachePolicy::Streaming(SinkWindow::new(90, 0)),
        CachePolicy::Dense { max_tokens: 800 },
    ] {
        let one = load("toy-llama-q4_1.gguf", Precision::Auto, 1);
        let expected = logits(&one, &mut cache(&one, policy), &ids, 1);
        for threads in [1, 2] {
            let model = load("toy-llama-q4_1.gguf", Precision::Auto, threads);
            for chunk in [1, 7, 64, 512] {
                let got = logits(&model, &mut cache(&model, policy), &ids, chunk);
                check_bits(
                    &got,
                    &expected,
                    &format!("{policy:?}, chunks of {chunk} on {threads} threads"),
                );
            }
        }
    }
}

#[test]
fn a_batch_gives_each_sequence_the_bits_that_it_has_alone() {
    const STEPS: usize = 12;
    let model = load("toy-llama-q4_1.gguf", Precision::Auto, 2);
    let vocab_size = model.config().vocab_size;
    let policies = [
        CachePolicy::Streaming(SinkWindow::new(4, 60)),
        CachePolicy::Streaming(SinkWindow::new(0, 9)),
        CachePolicy::Dense { max_tokens: 999 },
    ];
    let lengths = [1, 5, 1, 30, 1, 1, 2, 60];
    let len = |sequence: usize, step: usize| lengths[(sequence * 3 + step) % lengths.len()];
    let wanted = |sequence: usize| match sequence % 3 {
        0 => LogitsWanted::All,
        1 => LogitsWanted::Last,
        _ => LogitsWanted::None,
    };
    let policy = |sequence: usize| policies[sequence % policies.len()];

    let text = |sequence: usize| ids(999).split_off(7 * sequence);
    let mut caches: Vec<SequenceCache> = (0..8).map(|sequence| cache(&model, policy(sequence / 3))).collect();
    let mut together = vec![Vec::new(); caches.len()];
    for step in 0..STEPS {
        let texts: Vec<Vec<u32>> = caches
            .iter()
            .enumerate()
            .map(|(sequence, cache)| {
                let from = cache.position() as usize;
                text(sequence)[from..from + len(sequence, step)].to_vec()
            })
            .collect();
        let chunks = caches.iter_mut().zip(&texts).enumerate();
        let mut chunks: Vec<SequenceChunk<'_>> = chunks
            .map(|(sequence, (cache, ids))| SequenceChunk {
                cache,
                ids,
                wanted: wanted(sequence),
            })
            .collect();
        let logits = model.forward_batch(&mut chunks).expect("the chunks fit");
        let mut rows = logits.rows();
        for (sequence, together) in together.iter_mut().enumerate() {
            let n_rows = match wanted(sequence) {
                LogitsWanted::All => len(sequence, step),
                LogitsWanted::Last => 1,
                LogitsWanted::None => 0,
            };
            rows.by_ref()
                .take(n_rows)
                .for_each(|row| together.extend_from_slice(row));
        }
        assert_eq!(rows.len(), 0, "there are as many rows as were wanted");
    }
    for (sequence, together) in together.iter().enumerate() {
        let mut alone = cache(&model, policy(sequence / 3));
        let mut expected = Vec::new();
        let mut ids = text(sequence);
        for step in 0..STEPS {
            let rest = ids.split_off(len(sequence, step));
            let all = logits(&model, &mut alone, &ids, 16);
            match wanted(sequence) {
                LogitsWanted::All => expected.extend(all),
                LogitsWanted::Last => expected.extend_from_slice(&all[all.len() - vocab_size..]),
                LogitsWanted::None => {}
            }
            ids = rest;
        }
        check_bits(together, &expected, &format!("the batch around sequence {sequence}"));
        assert_eq!(alone.position(), caches[sequence].position());
    }
}

#[test]
fn a_batch_with_a_sequence_that_is_full_moves_none_of_them() {
    for precision in [Precision::Auto, Precision::F32] {
        let model = load("toy-llama-q4_1.gguf", precision, 1);
        let mut open = cache(&model, CachePolicy::Streaming(SinkWindow::new(4, 60)));
        let mut full = cache(&model, CachePolicy::Dense { max_tokens: 10 });
        logits(&model, &mut full, &ids(9), 9);
        let mut batch = |ids: &[u32]| {
            let chunks = [&mut open, &mut full].map(|cache| SequenceChunk {
                cache,
                ids,
                wanted: LogitsWanted::Last,
            });
            let mut chunks = Vec::from(chunks);
            let read = model.forward_batch(&mut chunks).map(|logits| logits.rows().len());
            (
                read,
                chunks.iter().map(|chunk| chunk.cache.position()).collect::<Vec<_>>(),
            )
        };
        let (refused, positions) = batch(&[1, 2]);
        refused.expect_err("there is room for one token");
        assert_eq!(positions, [0, 9]);
        let (read, positions) = batch(&[1]);
        assert_eq!((read.expect("it fits"), positions), (2, vec![1, 10]));
    }
}

#[test]
fn a_sequence_that_went_back_goes_on_with_the_same_bits() {
    let (model, ids) = (load("toy-llama-q4_1.gguf", Precision::Auto, 2), ids(300));
    let mut cache = cache(&model, CachePolicy::Streaming(SinkWindow::new(4, 60)));
    let all = logits(&model, &mut cache, &ids, 100);
    let vocab_size = model.config().vocab_size;
    for to in [270, 2] {
        cache.rewind(to as u64).expect("spare slots and sinks hold it");
        let again = logits(&model, &mut cache, &ids[to..], 9);
        check_bits(&again, &all[to * vocab_size..], &format!("going back to {to}"));
    }
}

#[test]
fn keys_and_values_in_f16_change_little() {
    let (policy, ids) = (CachePolicy::Streaming(SinkWindow::new(4, 60)), ids(200));
    let of = |precision| {
        // Its weights aren't quantised, so nothing else differs.
        let model = load("toy-llama.gguf", precision, 2);
        logits(&model, &mut cache(&model, policy), &ids, 64)
    };
    let (f16, plain) = (of(Precision::Auto), of(Precision::F32));
    let sum: f32 = f16.iter().zip(&plain).map(|(a, b)| (a - b).abs()).sum();
    let mean = sum / plain.len() as f32;
    assert!(mean > 0.0 && mean <= TOLERANCE_F16, "off by {mean}");
}

#[test]
fn a_fast_cache_takes_half_the_bytes() {
    let model = load("toy-llama-q4_1.gguf", Precision::Auto, 1);
    let mut cache = cache(&model, CachePolicy::Streaming(SinkWindow::new(4, 60)));
    let config = model.config();
    // Keys and values, in f16, of whole pages.
    let token = 2 * 2 * config.n_layers * config.n_kv_heads * config.head_dim;
    for (tokens, pages) in [(1, 1), (63, 1), (1, 2), (448, 9), (512, 12), (512, 12)] {
        logits(&model, &mut cache, &ids(tokens), MAX_CHUNK);
        assert_eq!(cache.bytes(), pages * 64 * token);
    }
}

#[test]
fn a_cache_of_another_model_is_refused() {
    let models = [
        load("toy-llama-q4_1.gguf", Precision::Auto, 1),
        load("toy-llama-q4_1.gguf", Precision::F32, 1),
    ];
    let policy = CachePolicy::Streaming(SinkWindow::new(4, 60));
    for (model, other) in [(&models[0], &models[1]), (&models[1], &models[0])] {
        let (mut own, mut foreign) = (cache(model, policy), cache(other, policy));
        let chunks = [&mut own, &mut foreign].map(|cache| SequenceChunk {
            cache,
            ids: &[1],
            wanted: LogitsWanted::Last,
        });
        let refused = model.forward_batch(&mut Vec::from(chunks));
        assert!(matches!(refused, Err(BurnEngineError::ForeignCache)), "{refused:?}");
        assert_eq!((own.position(), foreign.position()), (0, 0));
    }
}
