//! Counters and histograms of turns.

use std::time::Duration;

use conversation_store::TurnState;
use engine::{FinishReason, Finished, Timings, Usage};
use prometheus::TextEncoder;

use crate::metrics::{GaugeValues, METRICS_PREFIX, Metrics};

fn finished(tokens: u64, first_token_ms: f64, decode_ms: f64) -> Finished {
    Finished {
        reason: FinishReason::Stop,
        answer_ids: Vec::new(),
        usage: Usage {
            prompt_tokens: 10,
            cached_tokens: 4,
            completion_tokens: tokens,
            evicted_tokens: 5,
            ..Usage::default()
        },
        timings: Timings {
            first_token_ms,
            decode_ms,
            ..Timings::default()
        },
    }
}

#[test]
fn ends_and_durations_are_counted_in_their_buckets() {
    let metrics = Metrics::new();
    metrics.ended(TurnState::Done, Some(&finished(11, 30.0, 40.0)));
    metrics.ended(TurnState::Cancelled, Some(&finished(1, 90_000.0, 0.0)));
    metrics.ended(TurnState::Done, Some(&finished(0, 0.0, 0.0)));
    // Impossible timings of an engine are not counted.
    metrics.ended(TurnState::Done, Some(&finished(2, f64::NAN, -1.0)));
    metrics.ended(TurnState::Failed, None);
    metrics.committed(Duration::from_millis(10));
    let families = metrics.gather(&GaugeValues {
        running: 1,
        waiting: 2,
        cache_bytes: 3,
    });
    let page = TextEncoder::new().encode_to_string(&families).expect("there are names");
    for line in [
        "turns_total{state=\"done\"} 3",
        "turns_total{state=\"cancelled\"} 1",
        "turns_total{state=\"failed\"} 1",
        "turns_total{state=\"interrupted\"} 0",
        "prompt_tokens_total 40",
        "prompt_cached_tokens_total 16",
        "answer_tokens_total 14",
        "evicted_tokens_total 20",
        "turns_running 1",
        "turns_waiting 2",
        "cache_bytes 3",
        // 30 ms, and a minute and a half beyond every bound.
        "first_token_seconds_bucket{le=\"0.025\"} 0",
        "first_token_seconds_bucket{le=\"0.05\"} 1",
        "first_token_seconds_bucket{le=\"60\"} 1",
        "first_token_seconds_bucket{le=\"+Inf\"} 2",
        "first_token_seconds_sum 90.03",
        "first_token_seconds_count 2",
        // Ten intervals in 40 ms.
        "token_interval_seconds_bucket{le=\"0.0025\"} 0",
        "token_interval_seconds_bucket{le=\"0.005\"} 1",
        "token_interval_seconds_count 1",
        // A bound belongs to its bucket.
        "commit_seconds_bucket{le=\"0.005\"} 0",
        "commit_seconds_bucket{le=\"0.01\"} 1",
    ] {
        let series = format!("{METRICS_PREFIX}_{line}");
        assert!(page.lines().any(|on_page| on_page == series), "no {series} in {page}");
    }
}
