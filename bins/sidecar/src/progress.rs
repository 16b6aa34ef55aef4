//! Progress bars on stderr, for anything long; without a terminal they print nothing.

use indicatif::{ProgressBar, ProgressStyle};

/// Makes a bar that counts to `total`, with the text `what` in front.
pub(crate) fn bar(total: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(total).with_message(what);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {per_sec} eta {eta}");
    bar.with_style(style.expect("the template is valid"))
}

/// Makes a spinner for work of unknown length.
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    /// Often enough to look alive.
    const STEP: std::time::Duration = std::time::Duration::from_millis(100);
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(STEP);
    spinner
}
