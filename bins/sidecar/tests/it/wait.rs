//! Waiting for a condition that no event announces: by name, and with a deadline.
//!
//! A test awaits an event itself where there is one: a frame, a close, the end of a process. This is for the rest: a
//! count or a response of the sidecar that changes some time after the event that the test has seen.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

/// More than any condition takes on a slow machine, and less than nextest gives a test (180 s), so that a failure has
/// a name.
const DEADLINE: Duration = Duration::from_secs(60);

/// Time between two checks: short beside what a test takes, long enough to leave the cores to the sidecar.
const INTERVAL: Duration = Duration::from_millis(5);

/// Waits until a condition holds; panics at the deadline with the name of what it waited for.
pub async fn wait_until(what: &str, condition: impl AsyncFn() -> bool) {
    let holds = holds_within(DEADLINE, condition).await;
    assert!(holds, "waited {} s in vain: {what}", DEADLINE.as_secs());
}

/// Waits until a condition holds; returns false if it doesn't within `limit`.
pub async fn holds_within(limit: Duration, condition: impl AsyncFn() -> bool) -> bool {
    let poll = async {
        let mut checks = interval(INTERVAL);
        // Also after a check that took long.
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !condition().await {
            checks.tick().await;
        }
    };
    timeout(limit, poll).await.is_ok()
}
