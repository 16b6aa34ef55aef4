//! `GET /metrics`: what was counted, in the text format that Prometheus reads.
//!
//! Only numbers that something here really counts, since the start of the process; no id and no word of a conversation is a label.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use chat::{HistogramSnapshot, TurnMetrics};

use crate::state::State;

/// Version 0.0.4 of the text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The classes of statuses that are counted apart.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Answers to HTTP requests, by the first digit of their status.
#[derive(Debug, Default)]
pub struct Answers {
    counts: [AtomicU64; CLASSES.len()],
}

impl Answers {
    /// Counts one; sockets' upgrades are 1xx.
    pub fn count(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).checked_sub(1);
        if let Some(count) = class.and_then(|class| self.counts.get(class)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// `GET /metrics`.
pub(super) async fn metrics(state: web::Data<State>) -> HttpResponse {
    let text = write(&state.chat.metrics(), state.sockets.open(), &state.answers);
    HttpResponse::Ok().insert_header((CONTENT_TYPE, TEXT_FORMAT)).body(text)
}

fn write(turns: &TurnMetrics, open_sockets: usize, answers: &Answers) -> String {
    let mut page = Page(String::new());
    let ended = turns
        .ended
        .iter()
        .map(|(state, count)| (format!("{{state=\"{}\"}}", state.as_str()), *count));
    page.counters("turns_total", "Turns that have ended, by their state.", ended);
    page.counter("prompt_tokens_total", "Tokens of prompts.", turns.prompt_tokens);
    page.counter(
        "prompt_cached_tokens_total",
        "Tokens of prompts that were not read again.",
        turns.cached_tokens,
    );
    page.counter("answer_tokens_total", "Tokens of answers.", turns.answer_tokens);
    page.counter(
        "evicted_tokens_total",
        "Tokens that left a model's window.",
        turns.evicted_tokens,
    );
    page.histogram(
        "first_token_seconds",
        "From the request to the first token.",
        &turns.first_token,
    );
    page.histogram(
        "token_interval_seconds",
        "Between two tokens, on average over an answer.",
        &turns.token_interval,
    );
    page.histogram(
        "commit_seconds",
        "Durable commits of the store, at the begin and the end of a turn.",
        &turns.commit,
    );
    page.gauge("turns_running", "Turns that run.", turns.running as u64);
    page.gauge(
        "turns_waiting",
        "Turns that wait for another one.",
        turns.waiting as u64,
    );
    page.gauge("sockets_open", "WebSockets that are open.", open_sockets as u64);
    page.gauge("cache_bytes", "Keys and values that engines hold.", turns.cache_bytes);
    let classes = CLASSES.iter().zip(&answers.counts);
    let classes = classes.map(|(class, count)| (format!("{{status=\"{class}\"}}"), count.load(Ordering::Relaxed)));
    page.counters("http_answers_total", "Answers to HTTP requests.", classes);
    page.0
}

/// The page as far as it is written. Writing to a string doesn't fail.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(
            self.0,
            "# HELP streaming_llm_{name} {help}\n# TYPE streaming_llm_{name} {kind}"
        );
    }

    fn counter(&mut self, name: &str, help: &str, count: u64) {
        self.counters(name, help, [(String::new(), count)].into_iter());
    }

    fn counters(&mut self, name: &str, help: &str, counts: impl Iterator<Item = (String, u64)>) {
        self.head(name, "counter", help);
        for (labels, count) in counts {
            let _ = writeln!(self.0, "streaming_llm_{name}{labels} {count}");
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "gauge", help);
        let _ = writeln!(self.0, "streaming_llm_{name} {value}");
    }

    fn histogram(&mut self, name: &str, help: &str, spread: &HistogramSnapshot) {
        self.head(name, "histogram", help);
        for (bound, count) in &spread.buckets {
            let _ = writeln!(self.0, "streaming_llm_{name}_bucket{{le=\"{bound}\"}} {count}");
        }
        let HistogramSnapshot { count, sum_seconds, .. } = spread;
        let _ = writeln!(self.0, "streaming_llm_{name}_bucket{{le=\"+Inf\"}} {count}");
        let _ = writeln!(
            self.0,
            "streaming_llm_{name}_sum {sum_seconds}\nstreaming_llm_{name}_count {count}"
        );
    }
}
