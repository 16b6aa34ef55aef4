//! Measures when an answer's pieces arrive; a server's own measurements are better and take precedence.

use engine::{Timings, Usage};
use tokio::time::Instant;

use crate::Measurements;

/// Measures the times of one answer.
#[derive(Debug)]
pub(crate) struct AnswerTimer {
    /// When the request was sent.
    sent_at: Instant,
    first_piece: Option<Instant>,
    first_token: Option<Instant>,
    last_token: Option<Instant>,
    /// Pieces of text received.
    tokens: u64,
}

impl AnswerTimer {
    /// Starts the measurement as the request is sent.
    pub(crate) fn start() -> Self {
        Self {
            sent_at: Instant::now(),
            first_piece: None,
            first_token: None,
            last_token: None,
            tokens: 0,
        }
    }

    pub(crate) fn sent_at(&self) -> Instant {
        self.sent_at
    }

    /// Records that a piece of the answer arrived.
    pub(crate) fn record_piece(&mut self) {
        self.first_piece.get_or_insert_with(Instant::now);
    }

    /// Records that more text arrived; each counts as one token unless the server reports another count at the end.
    pub(crate) fn record_token(&mut self) {
        let now = Instant::now();
        self.first_token.get_or_insert(now);
        self.last_token = Some(now);
        self.tokens += 1;
    }

    pub(crate) fn usage(&self, measurements: &Measurements, context_tokens: u64) -> Usage {
        Usage {
            prompt_tokens: measurements.prompt_tokens.unwrap_or(0),
            cached_tokens: measurements.cached_tokens.unwrap_or(0),
            completion_tokens: measurements.completion_tokens.unwrap_or(self.tokens),
            sink_tokens: 0,
            window_tokens: context_tokens,
            evicted_tokens: 0,
            context_limit: context_tokens,
        }
    }

    pub(crate) fn timings(&self, measurements: &Measurements) -> Timings {
        let since_sent = |instant: Option<Instant>| instant.map_or(0.0, |instant| milliseconds(self.sent_at, instant));
        let decode_ms = match (measurements.decode_ms, self.first_token, self.last_token) {
            (Some(measured), _, _) => measured,
            (None, Some(first), Some(last)) => milliseconds(first, last),
            (None, _, _) => 0.0,
        };
        let tokens = measurements.completion_tokens.unwrap_or(self.tokens);
        Timings {
            queue_ms: measurements.queue_ms.unwrap_or(0.0),
            prefill_ms: measurements.prefill_ms.unwrap_or_else(|| since_sent(self.first_piece)),
            first_token_ms: since_sent(self.first_token),
            decode_ms,
            tokens_per_second: tokens_per_second(tokens, decode_ms),
        }
    }
}

fn milliseconds(from: Instant, to: Instant) -> f64 {
    to.duration_since(from).as_secs_f64() * 1_000.0
}

fn tokens_per_second(tokens: u64, decode_ms: f64) -> f64 {
    if tokens < 2 || decode_ms <= 0.0 {
        return 0.0;
    }
    (tokens - 1) as f64 * 1_000.0 / decode_ms
}
