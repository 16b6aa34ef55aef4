//! The time: one clock that only goes forward, for leases, and the one on the wall, for people.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

/// Where the time comes from. Clones are the same clock.
#[derive(Clone)]
pub struct Clock {
    forward: Arc<dyn Fn() -> Duration + Send + Sync>,
    wall_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Clock {
    /// A clock of these two: time since some start, never going back; and milliseconds since 1970, UTC, which may jump.
    pub fn new(
        forward: impl Fn() -> Duration + Send + Sync + 'static,
        wall_ms: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            forward: Arc::new(forward),
            wall_ms: Arc::new(wall_ms),
        }
    }

    /// The system's clocks.
    #[must_use]
    pub fn system() -> Self {
        let start = Instant::now();
        let wall_ms = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        };
        Self::new(move || start.elapsed(), wall_ms)
    }

    /// Time since the start; what ends a lease.
    #[must_use]
    pub fn forward(&self) -> Duration {
        (self.forward)()
    }

    /// Milliseconds since 1970, UTC; only ever shown.
    #[must_use]
    pub fn wall_ms(&self) -> i64 {
        (self.wall_ms)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// A time in milliseconds since 1970 as RFC 3339, UTC, with milliseconds.
pub(crate) fn rfc3339(at_ms: i64) -> String {
    /// Milliseconds, always all three digits.
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
    let time = Timestamp::from_millisecond(at_ms).unwrap_or(if at_ms < 0 { Timestamp::MIN } else { Timestamp::MAX });
    PRINTER.timestamp_to_string(&time)
}
