//! Two clocks: a monotonic one for leases, and the wall clock for display.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

/// The source of time. Clones share the clock.
#[derive(Clone)]
pub struct Clock {
    forward: Arc<dyn Fn() -> Duration + Send + Sync>,
    wall_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Clock {
    /// Creates a clock from the monotonic time since some start, and the wall time in milliseconds since 1970, UTC,
    /// which may jump.
    pub fn new(
        forward: impl Fn() -> Duration + Send + Sync + 'static,
        wall_ms: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            forward: Arc::new(forward),
            wall_ms: Arc::new(wall_ms),
        }
    }

    /// Returns the system's clocks.
    #[must_use]
    pub fn system() -> Self {
        let start = Instant::now();
        let wall_ms = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        };
        Self::new(move || start.elapsed(), wall_ms)
    }

    /// Returns the monotonic time since the start, by which leases end.
    #[must_use]
    pub fn forward(&self) -> Duration {
        (self.forward)()
    }

    /// Returns the wall time in milliseconds since 1970, UTC, which is only displayed.
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

/// Formats milliseconds since 1970 as RFC 3339, UTC, with milliseconds.
pub(crate) fn rfc3339(at_ms: i64) -> String {
    /// Prints milliseconds with three digits.
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
    let time = Timestamp::from_millisecond(at_ms).unwrap_or(if at_ms < 0 { Timestamp::MIN } else { Timestamp::MAX });
    PRINTER.timestamp_to_string(&time)
}
