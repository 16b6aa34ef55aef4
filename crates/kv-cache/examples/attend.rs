//! Measures the attention of one query over a cache of several lengths, in 30 layers of 9 heads that share 3.

use std::time::{Duration, Instant};

use streaming_llm_kv_cache::{self as kv, Chunk, KvStore};

const N_LAYERS: usize = 30;
const HEADS: kv::HeadShape = kv::HeadShape {
    n_heads: 9,
    n_kv_heads: 3,
    head_dim: 64,
};
const SIZES: kv::RingSizes = kv::RingSizes {
    max_chunk: 128,
    rewind_tokens: 0,
};

/// The fastest run counts: disturbances only ever make a run slower.
const RUNS: usize = 20;

fn main() -> Result<(), kv::KvCacheError> {
    let kernel = kv::Kernel::detect();
    let policy = kv::SinkWindow::new(4, 2_044);
    let mut ring = kv::Ring::new(kv::CachePolicy::Streaming(policy), SIZES)?;
    let mut store = KvStore::new(&ring, HEADS, N_LAYERS, kernel);
    let table = kv::RotaryTable::new(HEADS.head_dim, 100_000.0);
    let rows: Vec<f32> = (0..128 * HEADS.row_size()).map(|i| (i as f32 * 0.7).sin()).collect();
    while ring.position() < 2_048 {
        let first = ring.position();
        ring.insert(SIZES.max_chunk)?;
        let chunk = Chunk::new(&table, policy, first..ring.position());
        for layer_idx in 0..N_LAYERS {
            store.layer_mut(layer_idx).write(&chunk, &rows);
        }
        if [128, 1_024, 2_048].contains(&ring.position()) {
            let last = Chunk::new(&table, policy, ring.position() - 1..ring.position());
            let times = (0..RUNS).map(|_| attend(&store, &last, &rows[..HEADS.row_size()]));
            let time = times.min().unwrap_or_default();
            println!("{:5} tokens, {kernel}, one thread: {time:.2?}", ring.position());
        }
    }
    Ok(())
}

fn attend(store: &KvStore, chunk: &Chunk, rows: &[f32]) -> Duration {
    let out = &mut [0.0; HEADS.out_size()];
    let start = Instant::now();
    for layer_idx in 0..N_LAYERS {
        let (layer, out) = (store.layer(layer_idx), &mut out[..]);
        let input = kv::AttentionInput {
            chunk,
            layer,
            rows,
            out,
        };
        kv::Attention::new(vec![input]).run();
    }
    start.elapsed()
}
