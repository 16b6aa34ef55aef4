//! Adds up the results of a turn's rounds.

use engine::{Finished, Timings};

/// Joins the results of two rounds: tokens and times add up, and the context is the later one's.
pub(super) fn joined(earlier: Finished, later: Finished) -> Finished {
    let later_timings = later.timings;
    let mut joined = later;
    joined.answer_ids.splice(0..0, earlier.answer_ids);
    joined.usage.completion_tokens += earlier.usage.completion_tokens;
    joined.usage.evicted_tokens += earlier.usage.evicted_tokens;
    joined.timings.queue_ms = earlier.timings.queue_ms;
    joined.timings.first_token_ms = earlier.timings.first_token_ms;
    joined.timings.prefill_ms += earlier.timings.prefill_ms;
    joined.timings.decode_ms += earlier.timings.decode_ms;
    let decoded = |timings: Timings| timings.tokens_per_second * timings.decode_ms;
    let both = decoded(earlier.timings) + decoded(later_timings);
    joined.timings.tokens_per_second = if both > 0.0 {
        both / joined.timings.decode_ms
    } else {
        0.0
    };
    joined
}
