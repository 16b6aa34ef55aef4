//! How fast this machine's memory can be read: the limit of decoding, since every token reads all weights.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use super::sample::Sample;
use crate::error::CommandError;

/// Runs; the best one counts, since nothing makes memory faster than it is.
const RUNS: usize = 5;

/// Numbers summed side by side: enough that the processor waits for memory and not for its own additions.
const LANES: usize = 32;

/// The amount read, and how fast.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bandwidth {
    pub(super) threads: usize,
    pub(super) bytes: usize,
    /// Bytes a second, one value a run.
    pub(super) runs: Sample,
}

impl Bandwidth {
    /// Returns bytes a second of the fastest run.
    pub(super) fn best(&self) -> f64 {
        self.runs.max()
    }
}

/// Reads `bytes` with `threads` threads (`None`: one for each core), each of which reads its own part from start to
/// end.
pub(super) fn measure(bytes: usize, threads: Option<usize>) -> Result<Bandwidth, CommandError> {
    let threads = match threads {
        Some(threads) => threads.max(1),
        None => thread::available_parallelism()?.get(),
    };
    let words = bytes / size_of::<u64>();
    let mut memory = Vec::new();
    memory
        .try_reserve_exact(words)
        .map_err(|error| format!("--memory {}: {error}", bytes >> 20))?;
    // Written, so that every page is mapped to its own memory: untouched pages all share the zero page.
    memory.extend(0..words as u64);
    let parts: Vec<&[u64]> = memory.chunks(words.div_ceil(threads).max(1)).collect();
    let mut runs = Sample::default();
    for _ in 0..RUNS {
        runs.push((words * size_of::<u64>()) as f64 / read_once(&parts));
    }
    Ok(Bandwidth { threads, bytes, runs })
}

/// Returns the seconds from when the first thread starts to when the last one has read its part.
fn read_once(parts: &[&[u64]]) -> f64 {
    let ready = Barrier::new(parts.len());
    let read = |part: &[u64]| {
        ready.wait();
        let start = Instant::now();
        std::hint::black_box(sum(part));
        (start, Instant::now())
    };
    let times: Vec<_> = thread::scope(|scope| {
        let readers: Vec<_> = parts.iter().map(|part| scope.spawn(|| read(part))).collect();
        readers.into_iter().filter_map(|reader| reader.join().ok()).collect()
    });
    let first = times.iter().map(|(start, _)| *start).min();
    let last = times.iter().map(|(_, end)| *end).max();
    first
        .zip(last)
        .map_or(f64::NAN, |(first, last)| (last - first).as_secs_f64())
}

fn sum(part: &[u64]) -> u64 {
    let mut sums = [0_u64; LANES];
    let lines = part.chunks_exact(LANES);
    let rest = lines.remainder();
    for line in lines {
        for (sum, word) in sums.iter_mut().zip(line) {
            *sum = sum.wrapping_add(*word);
        }
    }
    sums.iter().chain(rest).fold(0, |all, sum| all.wrapping_add(*sum))
}
