//! The moments of a turn, from which its timings are computed.

use std::time::{Duration, Instant};

use engine::Timings;

/// The moments that [`Timings`] is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    submitted_at: Instant,
    began_at: Instant,
    /// The moments of the first and the newest token, and the number of tokens.
    tokens: Option<(Instant, Instant, u32)>,
}

impl Clock {
    /// Makes the clock of a turn that begins at `now`.
    pub(super) fn new(submitted_at: Instant, now: Instant) -> Self {
        Self {
            submitted_at,
            began_at: now,
            tokens: None,
        }
    }

    /// Sets the moment at which the turn begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.began_at = now;
    }

    /// Records that a token was chosen.
    pub(super) fn token(&mut self, now: Instant) {
        self.tokens = Some(match self.tokens {
            None => (now, now, 1),
            Some((first, _, count)) => (first, now, count + 1),
        });
    }

    /// Returns the durations of a turn that ends at `now`.
    pub(super) fn timings(&self, now: Instant) -> Timings {
        // A turn that was cancelled while its prompt was read has been in prefill until now.
        let (first, last, count) = self.tokens.unwrap_or((now, now, 0));
        let decode = last - first;
        let tokens_per_second = if decode.is_zero() {
            0.0
        } else {
            f64::from(count - 1) / decode.as_secs_f64()
        };
        Timings {
            queue_ms: ms(self.began_at - self.submitted_at),
            prefill_ms: ms(first - self.began_at),
            first_token_ms: ms(first - self.submitted_at),
            decode_ms: ms(decode),
            tokens_per_second,
        }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
