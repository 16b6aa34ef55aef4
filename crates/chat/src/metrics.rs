//! Counters and histograms of a chat's turns: how they ended, how many tokens they had, how fast they were.
//!
//! The ends of turns go in, Prometheus' metric families come out. Counting adds to a few shared atomics: it never
//! blocks a turn, and it never contains text of one.

use std::time::Duration;

use conversation_store::TurnState;
use engine::Finished;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// What the names of all metrics begin with, followed by `_`.
pub const METRICS_PREFIX: &str = "streaming_llm";

/// Upper bounds of the buckets, in seconds: from a token of a small model on a GPU to a long prompt on a laptop, each
/// about 2.5 times the one before.
const BOUNDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// The states in which a turn may end. Each has a series from the start, at 0.
const TERMINAL_STATES: [TurnState; 4] = [
    TurnState::Done,
    TurnState::Cancelled,
    TurnState::Failed,
    TurnState::Interrupted,
];

/// The metrics of all turns since the chat was created.
pub(crate) struct Metrics {
    registry: Registry,
    /// By the state in which they ended.
    turns: IntCounterVec,
    /// Tokens of prompts of finished answers, cached ones included.
    prompt_tokens: IntCounter,
    cached_tokens: IntCounter,
    answer_tokens: IntCounter,
    evicted_tokens: IntCounter,
    first_token: Histogram,
    token_interval: Histogram,
    commit: Histogram,
    running: IntGauge,
    waiting: IntGauge,
    cache_bytes: IntGauge,
}

/// What is not counted but looked up when the metrics are read.
pub(crate) struct GaugeValues {
    /// Turns that run.
    pub running: usize,
    /// Turns that wait for an earlier one of their conversation.
    pub waiting: usize,
    /// Bytes of keys and values that engines hold.
    pub cache_bytes: u64,
}

impl Metrics {
    /// Creates every series, at 0.
    pub(crate) fn new() -> Self {
        let registry = Registry::new_custom(Some(METRICS_PREFIX.to_owned()), None).expect("the prefix isn't empty");
        let turns = Opts::new("turns_total", "Turns that have ended, by their state.");
        let turns = registered(&registry, IntCounterVec::new(turns, &["state"]));
        for state in TERMINAL_STATES {
            turns.with_label_values(&[state.as_str()]);
        }
        let counter = |name, help| registered(&registry, IntCounter::new(name, help));
        let gauge = |name, help| registered(&registry, IntGauge::new(name, help));
        let histogram = |name, help| {
            let options = HistogramOpts::new(name, help).buckets(BOUNDS.to_vec());
            registered(&registry, Histogram::with_opts(options))
        };
        Self {
            turns,
            prompt_tokens: counter("prompt_tokens_total", "Tokens of prompts."),
            cached_tokens: counter(
                "prompt_cached_tokens_total",
                "Tokens of prompts that were not read again.",
            ),
            answer_tokens: counter("answer_tokens_total", "Tokens of answers."),
            evicted_tokens: counter("evicted_tokens_total", "Tokens that left a model's window."),
            first_token: histogram("first_token_seconds", "From the request to the first token."),
            token_interval: histogram(
                "token_interval_seconds",
                "Between two tokens, on average over an answer.",
            ),
            commit: histogram(
                "commit_seconds",
                "Durable commits of the store, at the begin and the end of a turn.",
            ),
            running: gauge("turns_running", "Turns that run."),
            waiting: gauge("turns_waiting", "Turns that wait for another one."),
            cache_bytes: gauge("cache_bytes", "Keys and values that engines hold."),
            registry,
        }
    }

    /// Counts a turn that has ended; `finished` is the engine's own end of it, if there was one.
    pub(crate) fn ended(&self, state: TurnState, finished: Option<&Finished>) {
        if TERMINAL_STATES.contains(&state) {
            self.turns.with_label_values(&[state.as_str()]).inc();
        }
        let Some(Finished { usage, timings, .. }) = finished else {
            return;
        };
        self.prompt_tokens.inc_by(usage.prompt_tokens);
        self.cached_tokens.inc_by(usage.cached_tokens);
        self.answer_tokens.inc_by(usage.completion_tokens);
        self.evicted_tokens.inc_by(usage.evicted_tokens);
        if usage.completion_tokens > 0 {
            observe_ms(&self.first_token, timings.first_token_ms);
        }
        if usage.completion_tokens > 1 {
            // One observation an answer: the average between two of its tokens.
            let intervals = (usage.completion_tokens - 1) as f64;
            observe_ms(&self.token_interval, timings.decode_ms / intervals);
        }
    }

    /// Counts a durable commit that took this long.
    pub(crate) fn committed(&self, took: Duration) {
        self.commit.observe(took.as_secs_f64());
    }

    /// Returns the present values, by the names of the metrics.
    pub(crate) fn gather(&self, values: &GaugeValues) -> Vec<MetricFamily> {
        self.running.set(gauge_value(values.running as u64));
        self.waiting.set(gauge_value(values.waiting as u64));
        self.cache_bytes.set(gauge_value(values.cache_bytes));
        self.registry.gather()
    }
}

/// Adds a metric to the registry. Names and labels are constants of this file, so neither step can fail.
fn registered<M: Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<M>) -> M {
    let metric = metric.expect("its name and its labels are valid");
    let added = registry.register(Box::new(metric.clone()));
    added.expect("each name is registered once");
    metric
}

/// Adds a duration that an engine has measured; NaN, negative and infinite values are not counted.
fn observe_ms(histogram: &Histogram, ms: f64) {
    if let Ok(duration) = Duration::try_from_secs_f64(ms / 1000.0) {
        histogram.observe(duration.as_secs_f64());
    }
}

fn gauge_value(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
