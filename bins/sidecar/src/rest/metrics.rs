//! `GET /metrics`: counters in the text format of Prometheus.
//!
//! Only numbers that are really counted, since the start of the process; no id and no text of a conversation is a
//! label.

use std::fmt::Write;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use chat::{HistogramSnapshot, TurnMetrics};

use crate::http_counters::HttpCounters;
use crate::state::AppState;

/// Version 0.0.4 of the text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`.
pub(super) async fn metrics(state: web::Data<AppState>) -> HttpResponse {
    let text = render(&state.chat.metrics(), state.sockets.open(), &state.http_counters);
    HttpResponse::Ok().insert_header((CONTENT_TYPE, TEXT_FORMAT)).body(text)
}

fn render(turns: &TurnMetrics, open_sockets: usize, counters: &HttpCounters) -> String {
    let mut text = MetricsText(String::new());
    let ended = turns
        .ended
        .iter()
        .map(|(state, count)| (format!("{{state=\"{}\"}}", state.as_str()), *count));
    text.counters("turns_total", "Turns that have ended, by their state.", ended);
    text.counter("prompt_tokens_total", "Tokens of prompts.", turns.prompt_tokens);
    text.counter(
        "prompt_cached_tokens_total",
        "Tokens of prompts that were not read again.",
        turns.cached_tokens,
    );
    text.counter("answer_tokens_total", "Tokens of answers.", turns.answer_tokens);
    text.counter(
        "evicted_tokens_total",
        "Tokens that left a model's window.",
        turns.evicted_tokens,
    );
    text.histogram(
        "first_token_seconds",
        "From the request to the first token.",
        &turns.first_token,
    );
    text.histogram(
        "token_interval_seconds",
        "Between two tokens, on average over an answer.",
        &turns.token_interval,
    );
    text.histogram(
        "commit_seconds",
        "Durable commits of the store, at the begin and the end of a turn.",
        &turns.commit,
    );
    text.gauge("turns_running", "Turns that run.", turns.running as u64);
    text.gauge(
        "turns_waiting",
        "Turns that wait for another one.",
        turns.waiting as u64,
    );
    text.gauge("sockets_open", "WebSockets that are open.", open_sockets as u64);
    text.gauge("cache_bytes", "Keys and values that engines hold.", turns.cache_bytes);
    let classes = counters.by_class();
    let classes = classes.map(|(class, count)| (format!("{{status=\"{class}\"}}"), count));
    text.counters("http_answers_total", "Answers to HTTP requests.", classes);
    text.0
}

/// The text written so far. Writing to a string doesn't fail.
struct MetricsText(String);

impl MetricsText {
    fn header(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(
            self.0,
            "# HELP streaming_llm_{name} {help}\n# TYPE streaming_llm_{name} {kind}"
        );
    }

    fn counter(&mut self, name: &str, help: &str, count: u64) {
        self.counters(name, help, [(String::new(), count)].into_iter());
    }

    fn counters(&mut self, name: &str, help: &str, counts: impl Iterator<Item = (String, u64)>) {
        self.header(name, "counter", help);
        for (labels, count) in counts {
            let _ = writeln!(self.0, "streaming_llm_{name}{labels} {count}");
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.header(name, "gauge", help);
        let _ = writeln!(self.0, "streaming_llm_{name} {value}");
    }

    fn histogram(&mut self, name: &str, help: &str, snapshot: &HistogramSnapshot) {
        self.header(name, "histogram", help);
        for (bound, count) in &snapshot.buckets {
            let _ = writeln!(self.0, "streaming_llm_{name}_bucket{{le=\"{bound}\"}} {count}");
        }
        let HistogramSnapshot { count, sum_seconds, .. } = snapshot;
        let _ = writeln!(self.0, "streaming_llm_{name}_bucket{{le=\"+Inf\"}} {count}");
        let _ = writeln!(
            self.0,
            "streaming_llm_{name}_sum {sum_seconds}\nstreaming_llm_{name}_count {count}"
        );
    }
}
