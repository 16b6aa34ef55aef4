//! The default model against an independent implementation, at stated tolerances.
//!
//! `fixtures/reference/README.md` documents where the numbers come from.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kv_cache::{CachePolicy, SinkWindow};
use model_files::ModelFiles;
use serde::Deserialize;

use crate::eval::{self, PerplexityRun};
use crate::{ComputeDevice, DeviceChoice, LlamaModel, LogitsWanted, Precision, Quantise};

const TOLERANCE_NATS: f32 = 2e-3;
const TOLERANCE_BETWEEN_CHUNKINGS: f32 = 1e-4;
const TOLERANCE_PERPLEXITY_RATIO: f64 = 1e-4;
/// What rounding activations to 8 bits may cost.
const TOLERANCE_FAST_PERPLEXITY_RATIO: f64 = 5e-3;
const TOLERANCE_LOGITS: f32 = 5e-3;

/// Below this margin, f32 sums in another order may choose another token.
const CLEAR_MARGIN: f32 = 0.05;

#[derive(Deserialize)]
struct Generations {
    endless_4_60: Generation,
    endless_4_252: Generation,
    chat_4_252: Chat,
}

#[derive(Deserialize)]
struct Generation {
    sinks: u64,
    window: u64,
    prompt: Vec<u32>,
    tokens: Vec<u32>,
    margin: Vec<f32>,
}

#[derive(Deserialize)]
struct Chat {
    sinks: u64,
    window: u64,
    turns: Vec<Turn>,
}

#[derive(Deserialize)]
struct Turn {
    prompt: Vec<u32>,
    tokens: Vec<u32>,
    margin: Vec<f32>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn default_model(precision: Precision) -> LlamaModel {
    default_model_on(precision, None)
}

fn default_model_on(precision: Precision, threads: Option<usize>) -> LlamaModel {
    let path = root().join("models/smollm2-135m-instruct.gguf");
    assert!(path.exists(), "the default model is missing: run `cargo xtask model`");
    let files = Arc::new(ModelFiles::open(&path).expect("the default model's header is sound"));
    let device = ComputeDevice::open(DeviceChoice::Cpu, precision, threads).expect("there is a CPU");
    LlamaModel::load(files, &device, Quantise::Off).expect("the default model loads")
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(root().join("fixtures/reference").join(name)).expect("the fixture is part of the repository")
}

fn reference_ids() -> Vec<u32> {
    fixture("tokens.u16le.bin")
        .chunks_exact(2)
        .map(|id| u32::from(u16::from_le_bytes([id[0], id[1]])))
        .collect()
}

fn reference_floats(name: &str) -> Vec<f32> {
    let values = fixture(name);
    values
        .chunks_exact(4)
        .map(|value| f32::from_le_bytes([value[0], value[1], value[2], value[3]]))
        .collect()
}

fn perplexity(nats: &[f32]) -> f64 {
    let mean = nats.iter().copied().map(f64::from).sum::<f64>() / nats.len() as f64;
    mean.exp()
}

#[track_caller]
fn check_close(got: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= tolerance,
            "{what}: entry {i} is {got} instead of {expected}"
        );
    }
}

#[test]
fn the_first_logits_are_the_references() {
    let model = default_model(Precision::F32);
    let mut cache = eval::greedy::new_cache(&model, CachePolicy::Dense { max_tokens: 8 }).expect("a small cache");
    let logits = model
        .forward(&mut cache, &reference_ids()[..8], LogitsWanted::All)
        .expect("8 tokens fit");
    let some: Vec<f32> = logits.rows().flat_map(|row| row.iter().copied().step_by(96)).collect();
    check_close(
        &some,
        &reference_floats("logits_first8_every96th.f32le.bin"),
        TOLERANCE_LOGITS,
        "logits",
    );
}

#[test]
fn every_chunking_of_a_text_is_predicted_as_the_reference_does() {
    let model = default_model(Precision::F32);
    let (ids, expected) = (reference_ids(), reference_floats("nll_sinks4_window252.f32le.bin"));
    let policy = CachePolicy::Streaming(SinkWindow::new(4, 252));
    let predict = |chunk, count| {
        let run = PerplexityRun { policy, count, chunk };
        let nlls = eval::perplexity(&model, &ids, run, &mut |_| {}).expect("the text is long enough");
        check_close(
            &nlls.nats,
            &expected[..count],
            TOLERANCE_NATS,
            &format!("nats in chunks of {chunk}"),
        );
        nlls
    };
    let whole = predict(512, expected.len());
    let ratio = whole.perplexity() / perplexity(&expected);
    assert!(
        (ratio - 1.0).abs() < TOLERANCE_PERPLEXITY_RATIO,
        "the perplexity is off by the factor {ratio}"
    );
    for (chunk, count) in [(1, 320), (7, 600), (64, 600)] {
        let nlls = predict(chunk, count);
        check_close(
            &nlls.nats,
            &whole.nats[..count],
            TOLERANCE_BETWEEN_CHUNKINGS,
            &format!("chunks of {chunk} and 512"),
        );
    }
}

#[track_caller]
fn check_choices(model: &LlamaModel, policy: SinkWindow, generation: (&[u32], &[u32], &[f32])) {
    let (prompt, tokens, margins) = generation;
    let ids = [prompt, &tokens[..tokens.len() - 1]].concat();
    let policy = CachePolicy::Streaming(policy);
    let choices = eval::teacher_forced(model, &ids, prompt.len(), policy).expect("the ids are the model's");
    assert_eq!(choices.len(), tokens.len());
    for (i, ((choice, &token), &margin)) in choices.iter().zip(tokens).zip(margins).enumerate() {
        assert!(
            choice.id == token || margin <= CLEAR_MARGIN,
            "token {i} is {} instead of {token}, by {margin}",
            choice.id
        );
    }
}

#[test]
fn greedy_choices_are_the_references_while_the_cache_rolls() {
    let model = default_model(Precision::F32);
    let reference: Generations = serde_json::from_slice(&fixture("generation.json")).expect("the fixture is sound");
    for endless in [&reference.endless_4_60, &reference.endless_4_252] {
        let policy = SinkWindow::new(endless.sinks, endless.window);
        check_choices(&model, policy, (&endless.prompt, &endless.tokens, &endless.margin));
    }
    let chat = &reference.chat_4_252;
    let policy = SinkWindow::new(chat.sinks, chat.window);
    let mut before: Vec<u32> = Vec::new();
    for turn in &chat.turns {
        before.extend(&turn.prompt);
        check_choices(&model, policy, (&before, &turn.tokens, &turn.margin));
        before.extend(&turn.tokens[..turn.tokens.len() - 1]);
    }
}

#[test]
fn the_fast_path_predicts_a_text_as_well_as_f32() {
    let expected = reference_floats("nll_sinks4_window252.f32le.bin");
    let run = PerplexityRun {
        policy: CachePolicy::Streaming(SinkWindow::new(4, 252)),
        count: expected.len(),
        chunk: 512,
    };
    let nlls = eval::perplexity(&default_model(Precision::Auto), &reference_ids(), run, &mut |_| {});
    let ratio = nlls.expect("the text is long enough").perplexity() / perplexity(&expected);
    assert!(
        (ratio - 1.0).abs() < TOLERANCE_FAST_PERPLEXITY_RATIO,
        "the perplexity is off by the factor {ratio}"
    );
}

#[test]
fn the_fast_path_gives_the_same_bits_in_any_chunks_on_any_threads() {
    let ids = &reference_ids()[..150];
    let logits = |model: &LlamaModel, chunk| {
        let policy = CachePolicy::Streaming(SinkWindow::new(4, 60));
        let mut cache = eval::greedy::new_cache(model, policy).expect("a small cache");
        let mut bits: Vec<u32> = Vec::new();
        for chunk in ids.chunks(chunk) {
            let logits = model
                .forward(&mut cache, chunk, LogitsWanted::All)
                .expect("the chunk fits");
            bits.extend(logits.into_values().iter().map(|value| value.to_bits()));
        }
        bits
    };
    let models = [1, 2].map(|threads| default_model_on(Precision::Auto, Some(threads)));
    let expected = logits(&models[0], 1);
    for model in &models {
        for chunk in [1, 7, 64, 512] {
            assert!(logits(model, chunk) == expected, "chunks of {chunk} change bits");
        }
    }
}
