//! Reads 256 MiB in an order that no cache can predict, in large pages and in a `Vec`, and prints the time of one
//! access.

use std::time::Instant;

use streaming_llm_large_pages::Arena;

const BYTES: usize = 256 << 20;
const READS: usize = 10_000_000;

fn main() -> std::io::Result<()> {
    let mut region = Arena::new(BYTES).allocate(BYTES)?;
    region.fill(1);
    let vec = vec![1_u8; BYTES];
    for (name, bytes) in [("large pages", &region[..]), ("a Vec", &vec)] {
        let start = Instant::now();
        let (mut index, mut sum) = (0, 0);
        for _ in 0..READS {
            // Each index depends on the value read before.
            index = (index * 5 + 4_097 * usize::from(bytes[index])) % BYTES;
            sum += index;
        }
        let nanoseconds = start.elapsed().as_secs_f64() * 1e9 / READS as f64;
        println!("{name:12} {nanoseconds:6.1} ns an access ({sum})");
    }
    Ok(())
}
