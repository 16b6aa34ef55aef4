//! Follows a tiny stream: four tokens per chunk through two sinks and a window of three.

use streaming_llm_kv_cache::{CachePolicy, KvCacheError, Ring, RingSizes, SinkWindow};

fn main() -> Result<(), KvCacheError> {
    let policy = SinkWindow::new(2, 3);
    let mut ring = Ring::new(
        CachePolicy::Streaming(policy),
        RingSizes {
            max_chunk: 4,
            rewind_tokens: 2,
        },
    )?;
    for _ in 0..5 {
        let first = ring.position();
        let insert = ring.insert(4)?;
        println!("tokens {first}..{} go to {:?}", ring.position(), insert.spans);
        for query in first..ring.position() {
            let seen: Vec<u64> = (0..=query).filter(|&key| policy.sees(query, key)).collect();
            println!(
                "  {query} sees {seen:?} and has cache position {}",
                policy.cache_position(query)
            );
        }
        println!(
            "  the last one reads {:?}",
            ring.visible(ring.position() - 1, ring.position())
        );
    }
    ring.rewind(18)?;
    println!("went back to {}", ring.position());
    Ok(())
}
