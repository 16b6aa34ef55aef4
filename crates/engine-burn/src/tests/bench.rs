//! The pieces of work that a benchmark times do what they are timed for. How long they take is not checked here.

use std::path::Path;
use std::sync::Arc;

use kv_cache::{CachePolicy, SinkWindow};
use model_files::ModelFiles;

use crate::eval::bench::{
    DecodeRun, StreamRun, cache_bytes_a_token, stream_cost, time_decode, time_prefill, weight_bytes,
};
use crate::{BurnEngineError, ComputeDevice, DeviceChoice, LlamaModel, LogitsWanted, Precision, Quantise};

const SINK_WINDOW: SinkWindow = SinkWindow::new(2, 6);

fn toy() -> LlamaModel {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/toy-llama.gguf");
    let files = Arc::new(ModelFiles::open(&path).expect("the toy is part of the repository"));
    let device = ComputeDevice::open(DeviceChoice::Cpu, Precision::Auto, Some(1)).expect("the processor is there");
    LlamaModel::load(files, &device, Quantise::Auto).expect("the toy loads")
}

#[test]
fn prompts_are_needed_and_bounds_are_kept() {
    let model = toy();
    let policy = CachePolicy::Dense { max_tokens: 20 };
    assert!(matches!(
        time_prefill(&model, policy, &[]),
        Err(BurnEngineError::EmptyChunk)
    ));
    assert!(matches!(
        time_prefill(&model, policy, &[7; 21]),
        Err(BurnEngineError::Cache(_))
    ));
    time_prefill(&model, policy, &[7; 20]).expect("20 tokens fit");
    let decode = |tokens, wanted| time_decode(&model, &[7; 16], DecodeRun { policy, tokens, wanted });
    decode(4, LogitsWanted::Last).expect("16 and 4 tokens fit");
    decode(4, LogitsWanted::None).expect("without logits too");
    assert!(matches!(decode(5, LogitsWanted::Last), Err(BurnEngineError::Cache(_))));
}

#[test]
fn a_stream_is_cut_into_blocks() {
    let (model, mut seen) = (toy(), Vec::new());
    let run = StreamRun {
        sink_window: SINK_WINDOW,
        tokens: 25,
        block_tokens: 10,
    };
    let cost = stream_cost(&model, run, &mut |done| seen.push(done)).expect("a stream has no end");
    assert_eq!(seen, [10, 20, 25]);
    assert_eq!(cost.block_ms.len(), 3);
    assert!(cost.block_ms.iter().all(|ms| ms.is_finite()));
    let no_blocks = StreamRun { block_tokens: 0, ..run };
    assert!(matches!(
        stream_cost(&model, no_blocks, &mut |_| ()),
        Err(BurnEngineError::ZeroSize { .. })
    ));
}

#[test]
fn what_a_token_reads_is_all_matrices_once() {
    let model = toy();
    // 2 layers, in Q8_0 of 34 bytes for 32 values: query 64 × 64, key and value 32 × 64, output 64 × 64, three of 128 ×
    // 64; f32 norms of 64. Then the last norm, and 295 rows of the embedding, which is the output matrix too, in whole
    // groups of eight.
    let layer = (64 * 64 + 2 * 32 * 64 + 64 * 64 + 3 * 128 * 64) / 32 * 34 + 4 * 2 * 64;
    let output = 4 * 64 + 296 * 64 / 32 * 34;
    assert_eq!(weight_bytes(&model), 2 * layer + output);
    assert_eq!(cache_bytes_a_token(model.config()), 2 * 2 * 32 * 2);
}
