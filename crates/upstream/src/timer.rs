//! When an answer's pieces came, as its reader sees it; a server's own measurements are better, and win.

use engine::{Timings, Usage};
use tokio::time::Instant;

use crate::Report;

/// Watches one answer.
#[derive(Debug)]
pub(crate) struct Clock {
    asked: Instant,
    first_piece: Option<Instant>,
    first_token: Option<Instant>,
    last_token: Option<Instant>,
    tokens: u64,
}

impl Clock {
    /// The request is sent now.
    pub(crate) fn start() -> Self {
        Self {
            asked: Instant::now(),
            first_piece: None,
            first_token: None,
            last_token: None,
            tokens: 0,
        }
    }

    pub(crate) fn asked(&self) -> Instant {
        self.asked
    }

    /// The server has begun its answer.
    pub(crate) fn piece(&mut self) {
        self.first_piece.get_or_insert_with(Instant::now);
    }

    /// More text has come; a server sends one token at a time, unless it says another count at the end.
    pub(crate) fn token(&mut self) {
        let now = Instant::now();
        self.first_token.get_or_insert(now);
        self.last_token = Some(now);
        self.tokens += 1;
    }

    pub(crate) fn usage(&self, report: &Report, context_tokens: u64) -> Usage {
        Usage {
            prompt_tokens: report.prompt_tokens.unwrap_or(0),
            cached_tokens: report.cached_tokens.unwrap_or(0),
            completion_tokens: report.completion_tokens.unwrap_or(self.tokens),
            sink_tokens: 0,
            window_tokens: context_tokens,
            evicted_tokens: 0,
            context_limit: context_tokens,
        }
    }

    pub(crate) fn timings(&self, report: &Report) -> Timings {
        let since_asked = |instant: Option<Instant>| instant.map_or(0.0, |instant| milliseconds(self.asked, instant));
        let decode_ms = match (report.decode_ms, self.first_token, self.last_token) {
            (Some(measured), _, _) => measured,
            (None, Some(first), Some(last)) => milliseconds(first, last),
            (None, _, _) => 0.0,
        };
        let tokens = report.completion_tokens.unwrap_or(self.tokens);
        Timings {
            queue_ms: report.queue_ms.unwrap_or(0.0),
            prefill_ms: report.prefill_ms.unwrap_or_else(|| since_asked(self.first_piece)),
            first_token_ms: since_asked(self.first_token),
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
