//! The clock that both processes share: a token carries its time, and its reader compares.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns the nanoseconds since 1970, as a token carries them.
pub(crate) fn stamp() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns how long ago a stamp was made.
pub(crate) fn age(stamped: u64) -> Duration {
    Duration::from_nanos(stamp().saturating_sub(stamped))
}
