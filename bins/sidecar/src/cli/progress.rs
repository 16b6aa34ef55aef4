//! Progress bars on stderr, for anything long; without a terminal they are silent.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts to `total`, with the words of `what` in front.
pub(crate) fn bar(total: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(total).with_message(what);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {per_sec} eta {eta}");
    bar.with_style(style.expect("the template is valid"))
}

/// A moving sign for work whose length nobody knows.
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    /// Moves often enough to look alive.
    const STEP: std::time::Duration = std::time::Duration::from_millis(100);
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(STEP);
    spinner
}
