//! The server's own metrics, beside those of the chat: HTTP responses by the class of their status, and open sockets.

use actix_web::http::StatusCode;
use chat::METRICS_PREFIX;
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The classes of statuses that are counted separately. Each has a series from the start, at 0.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Metrics of HTTP and of sockets, since the start of the process.
pub struct ServerMetrics {
    registry: Registry,
    /// In the order of [`CLASSES`].
    answers: [IntCounter; CLASSES.len()],
    sockets_open: IntGauge,
}

impl ServerMetrics {
    /// Creates every series, at 0.
    pub fn new() -> Self {
        let registry = Registry::new_custom(Some(METRICS_PREFIX.to_owned()), None).expect("the prefix isn't empty");
        let answers = Opts::new("http_answers_total", "Answers to HTTP requests.");
        let answers = IntCounterVec::new(answers, &["status"]).expect("its name and its label are valid");
        let sockets_open = IntGauge::new("sockets_open", "WebSockets that are open.").expect("its name is valid");
        let added = registry.register(Box::new(answers.clone()));
        let added = added.and_then(|()| registry.register(Box::new(sockets_open.clone())));
        added.expect("each name is registered once");
        Self {
            registry,
            answers: CLASSES.map(|class| answers.with_label_values(&[class])),
            sockets_open,
        }
    }

    /// Counts one response; WebSocket upgrades are 1xx.
    pub fn count_answer(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).checked_sub(1);
        if let Some(count) = class.and_then(|class| self.answers.get(class)) {
            count.inc();
        }
    }

    /// Returns the present values.
    pub fn gather(&self, open_sockets: usize) -> Vec<MetricFamily> {
        self.sockets_open.set(i64::try_from(open_sockets).unwrap_or(i64::MAX));
        self.registry.gather()
    }
}
