//! Counters and histograms of turns.

use std::time::Duration;

use conversation_store::TurnState;
use engine::{FinishReason, Finished, Timings, Usage};

use crate::metrics::Metrics;

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
    let metrics = Metrics::default();
    metrics.ended(TurnState::Done, Some(&finished(11, 30.0, 40.0)));
    metrics.ended(TurnState::Cancelled, Some(&finished(1, 90_000.0, 0.0)));
    metrics.ended(TurnState::Done, Some(&finished(0, 0.0, 0.0)));
    // Impossible timings of an engine are not counted.
    metrics.ended(TurnState::Done, Some(&finished(2, f64::NAN, -1.0)));
    metrics.ended(TurnState::Failed, None);
    metrics.committed(Duration::from_millis(10));
    let read = metrics.snapshot(1, 2, 3);
    let ended: Vec<u64> = read.ended.iter().map(|(_, count)| *count).collect();
    assert_eq!(ended, [3, 1, 1, 0]);
    assert_eq!(
        (read.prompt_tokens, read.cached_tokens, read.answer_tokens),
        (40, 16, 14)
    );
    assert_eq!(read.evicted_tokens, 20);
    assert_eq!((read.running, read.waiting, read.cache_bytes), (1, 2, 3));

    let within = |histogram: &crate::HistogramSnapshot, bound: f64| {
        let bucket = histogram.buckets.iter().find(|(of_bucket, _)| *of_bucket == bound);
        bucket.map(|(_, count)| *count)
    };
    // 30 ms, and a minute and a half beyond every bound.
    let first = &read.first_token;
    assert_eq!((first.count, first.sum_seconds), (2, 90.03));
    assert_eq!(
        [0.025, 0.05, 60.0].map(|bound| within(first, bound)),
        [Some(0), Some(1), Some(1)]
    );
    // Ten gaps in 40 ms.
    assert_eq!(
        [0.0025, 0.005].map(|bound| within(&read.token_interval, bound)),
        [Some(0), Some(1)]
    );
    assert_eq!(read.token_interval.count, 1);
    // A bound belongs to its bucket.
    assert_eq!(
        [0.005, 0.01].map(|bound| within(&read.commit, bound)),
        [Some(0), Some(1)]
    );
}
