//! What holds for any GPU, tried on the one that wgpu finds: a software one will do.
//!
//! A test program of its own, so that the GPU engine is compiled for nothing else.

use std::path::Path;
use std::sync::Arc;

use model_files::ModelFiles;
use streaming_llm_engine_burn::{
    CachePolicy, ComputeDevice, DeviceChoice, LlamaModel, LogitsWanted, Precision, Quantise, SinkWindow,
};

/// The logits of a toy Llama after 16 tokens, twice as many as its cache holds, and after one more.
fn toy_logits(choice: DeviceChoice) -> Vec<f32> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/toy-llama.gguf");
    let files = Arc::new(ModelFiles::open(&path).expect("the toy is part of the repository"));
    let device = ComputeDevice::open(choice, Precision::F32, Some(2)).expect("the device can be opened");
    let model = LlamaModel::load(files, &device, Quantise::Off).expect("the toy loads");
    let policy = CachePolicy::Streaming(SinkWindow::new(2, 6));
    let mut cache = model.new_cache(policy).expect("a small cache");
    let ids: Vec<u32> = (0..17).map(|i| (i * i * 31 + i * 7 + 5) % 295).collect();
    let mut logits = Vec::new();
    for chunk in ids.chunks(16) {
        let of_chunk = model.forward(&mut cache, chunk, LogitsWanted::All);
        logits.extend(of_chunk.expect("the chunk fits").into_values());
    }
    logits
}

#[test]
fn a_gpu_gives_the_logits_of_the_cpu_past_the_window_too() {
    let (cpu, gpu) = (toy_logits(DeviceChoice::Cpu), toy_logits(DeviceChoice::Gpu));
    assert_eq!(cpu.len(), gpu.len());
    let worst = cpu.iter().zip(&gpu).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= 1e-3, "off by up to {worst}");
}

#[test]
fn auto_never_takes_a_software_gpu() {
    let auto = ComputeDevice::open(DeviceChoice::Auto, Precision::Auto, Some(1)).expect("there is always the CPU");
    assert!(!auto.name().contains("llvmpipe"), "{}", auto.name());
}
