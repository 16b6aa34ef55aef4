//! When things happened in a turn.

use std::time::{Duration, Instant};

use engine::Timings;

/// The moments that [`Timings`] is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    asked_at: Instant,
    began_at: Instant,
    /// The first token and the newest, with the number of tokens.
    tokens: Option<(Instant, Instant, u32)>,
}

impl Clock {
    /// A turn that was asked for then, and begins at `now`.
    pub(super) fn new(asked_at: Instant, now: Instant) -> Self {
        Self {
            asked_at,
            began_at: now,
            tokens: None,
        }
    }

    /// The turn begins only now.
    pub(super) fn begin(&mut self, now: Instant) {
        self.began_at = now;
    }

    /// Notes that a token was chosen.
    pub(super) fn token(&mut self, now: Instant) {
        self.tokens = Some(match self.tokens {
            None => (now, now, 1),
            Some((first, _, count)) => (first, now, count + 1),
        });
    }

    /// The durations of a turn that ends at `now`.
    pub(super) fn timings(&self, now: Instant) -> Timings {
        // A turn that was cancelled in its prefill was in it until now.
        let (first, last, count) = self.tokens.unwrap_or((now, now, 0));
        let decode = last - first;
        let tokens_per_second = if decode.is_zero() {
            0.0
        } else {
            f64::from(count - 1) / decode.as_secs_f64()
        };
        Timings {
            queue_ms: ms(self.began_at - self.asked_at),
            prefill_ms: ms(first - self.began_at),
            first_token_ms: ms(first - self.asked_at),
            decode_ms: ms(decode),
            tokens_per_second,
        }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
