//! Reads 256 MiB in an order that no cache foresees, in large pages and in a `Vec`, and says how long an access takes.

use std::time::Instant;

use streaming_llm_large_pages::Arena;

const BYTES: usize = 256 << 20;
const READS: usize = 10_000_000;

fn main() -> std::io::Result<()> {
    let mut region = Arena::new(BYTES).take(BYTES)?;
    region.fill(1);
    let vec = vec![1_u8; BYTES];
    for (name, bytes) in [("large pages", &region[..]), ("a Vec", &vec)] {
        let start = Instant::now();
        let (mut at, mut sum) = (0, 0);
        for _ in 0..READS {
            // Each place depends on what was read before.
            at = (at * 5 + 4_097 * usize::from(bytes[at])) % BYTES;
            sum += at;
        }
        let nanoseconds = start.elapsed().as_secs_f64() * 1e9 / READS as f64;
        println!("{name:12} {nanoseconds:6.1} ns an access ({sum})");
    }
    Ok(())
}
