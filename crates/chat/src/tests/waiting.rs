//! Waiting with a deadline, so that a stuck test fails with the name of what it waited for.

use std::time::Duration;

/// How long a test waits: far more than a loaded machine needs, and less than the test runner's own limit.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits for a future. Panics with `what` after the deadline.
pub(super) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("timed out after {DEADLINE:?} waiting for {what}"),
    }
}

/// Waits until a condition holds of which nothing else notifies. Panics with `what` after the deadline.
pub(super) async fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    within(what, async {
        let mut ticks = tokio::time::interval(Duration::from_millis(1));
        while !condition() {
            ticks.tick().await;
        }
    })
    .await;
}
