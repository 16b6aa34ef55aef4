//! Counts HTTP responses by the class of their status, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::StatusCode;

/// The classes of statuses that are counted separately.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Counts HTTP responses by the first digit of their status.
#[derive(Debug, Default)]
pub struct HttpCounters {
    counts: [AtomicU64; CLASSES.len()],
}

impl HttpCounters {
    /// Counts one response; WebSocket upgrades are 1xx.
    pub fn count(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).checked_sub(1);
        if let Some(count) = class.and_then(|class| self.counts.get(class)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns each class with the number of its responses.
    pub fn by_class(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        CLASSES.into_iter().zip(counts)
    }
}
