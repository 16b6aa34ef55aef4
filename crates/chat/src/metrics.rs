//! Counters and histograms of a chat's turns: how they ended, how many tokens they had, how fast they were.
//!
//! The ends of turns go in, [`TurnMetrics`] come out. Counting adds to a few shared atomics: it never blocks a turn,
//! and it never contains text of one.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use conversation_store::TurnState;
use engine::Finished;

/// Upper bounds of the buckets, in seconds: from a token of a small model on a GPU to a long prompt on a laptop, each
/// about 2.5 times the one before.
const BOUNDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// The states in which a turn may end.
const TERMINAL_STATES: [TurnState; 4] = [
    TurnState::Done,
    TurnState::Cancelled,
    TurnState::Failed,
    TurnState::Interrupted,
];

/// The metrics of all turns since the chat was created.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnMetrics {
    /// Turns by the state in which they ended, all four of them.
    pub ended: [(TurnState, u64); 4],
    /// Tokens of prompts of finished answers, cached ones included.
    pub prompt_tokens: u64,
    /// Those of them that were in the model's cache.
    pub cached_tokens: u64,
    /// Tokens of finished answers.
    pub answer_tokens: u64,
    /// Tokens that left a model's window while answers were made.
    pub evicted_tokens: u64,
    /// Time from an engine's start of an answer to its first token.
    pub first_token: HistogramSnapshot,
    /// Average time between two tokens of an answer with two or more: one observation an answer.
    pub token_interval: HistogramSnapshot,
    /// Duration of a turn's durable commits in the store, its beginning and its end.
    pub commit: HistogramSnapshot,
    /// Turns that run.
    pub running: usize,
    /// Turns that wait for an earlier one of their conversation.
    pub waiting: usize,
    /// Bytes of keys and values that engines hold now.
    pub cache_bytes: u64,
}

/// A histogram of durations.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSnapshot {
    /// Upper bounds in seconds, with the number of durations up to each; cumulative.
    pub buckets: Vec<(f64, u64)>,
    /// Number of durations.
    pub count: u64,
    /// Their sum in seconds.
    pub sum_seconds: f64,
}

/// The counters behind [`TurnMetrics`].
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    ended: [AtomicU64; TERMINAL_STATES.len()],
    prompt_tokens: AtomicU64,
    cached_tokens: AtomicU64,
    answer_tokens: AtomicU64,
    evicted_tokens: AtomicU64,
    first_token: Histogram,
    token_interval: Histogram,
    commit: Histogram,
}

#[derive(Debug, Default)]
struct Histogram {
    /// Per bucket, not cumulative; the last one counts durations beyond every bound.
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum_us: AtomicU64,
}

impl Metrics {
    /// Counts a turn that has ended; `finished` is the engine's own end of it, if there was one.
    pub(crate) fn ended(&self, state: TurnState, finished: Option<&Finished>) {
        if let Some(index) = TERMINAL_STATES.iter().position(|terminal| *terminal == state) {
            add(&self.ended[index], 1);
        }
        let Some(Finished { usage, timings, .. }) = finished else {
            return;
        };
        add(&self.prompt_tokens, usage.prompt_tokens);
        add(&self.cached_tokens, usage.cached_tokens);
        add(&self.answer_tokens, usage.completion_tokens);
        add(&self.evicted_tokens, usage.evicted_tokens);
        if usage.completion_tokens > 0 {
            self.first_token.add_ms(timings.first_token_ms);
        }
        if usage.completion_tokens > 1 {
            self.token_interval
                .add_ms(timings.decode_ms / (usage.completion_tokens - 1) as f64);
        }
    }

    /// Counts a durable commit that took this long.
    pub(crate) fn committed(&self, took: Duration) {
        self.commit.add(took);
    }

    /// Returns the present values, with those that only the caller knows.
    pub(crate) fn snapshot(&self, running: usize, waiting: usize, cache_bytes: u64) -> TurnMetrics {
        TurnMetrics {
            ended: array::from_fn(|index| (TERMINAL_STATES[index], get(&self.ended[index]))),
            prompt_tokens: get(&self.prompt_tokens),
            cached_tokens: get(&self.cached_tokens),
            answer_tokens: get(&self.answer_tokens),
            evicted_tokens: get(&self.evicted_tokens),
            first_token: self.first_token.snapshot(),
            token_interval: self.token_interval.snapshot(),
            commit: self.commit.snapshot(),
            running,
            waiting,
            cache_bytes,
        }
    }
}

impl Histogram {
    /// Adds a duration that an engine has measured; NaN, negative and infinite values are not counted.
    fn add_ms(&self, ms: f64) {
        if let Ok(duration) = Duration::try_from_secs_f64(ms / 1000.0) {
            self.add(duration);
        }
    }

    fn add(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound);
        add(&self.counts[bucket.unwrap_or(BOUNDS.len())], 1);
        add(&self.sum_us, u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    fn snapshot(&self) -> HistogramSnapshot {
        let mut count = 0;
        let buckets = BOUNDS.iter().zip(&self.counts).map(|(bound, of_bucket)| {
            count += get(of_bucket);
            (*bound, count)
        });
        let buckets = buckets.collect();
        HistogramSnapshot {
            buckets,
            count: count + get(&self.counts[BOUNDS.len()]),
            sum_seconds: get(&self.sum_us) as f64 / 1e6,
        }
    }
}

/// Adds to a counter. Counters are read for display only, so no order among them is needed.
fn add(number: &AtomicU64, more: u64) {
    number.fetch_add(more, Ordering::Relaxed);
}

fn get(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}
