//! The cache policies of the measurements: settings and a model's context in, a policy that fits it out.

use engine_burn::{CachePolicy, SinkWindow};

use crate::error::CommandError;
use crate::settings::Settings;

/// Returns the cache policy that `serve` would use with these settings.
pub(super) fn serving_policy(settings: &Settings, context_tokens: usize) -> Result<CachePolicy, CommandError> {
    if !settings.streaming {
        return Ok(CachePolicy::Dense {
            max_tokens: context_tokens as u64,
        });
    }
    streaming_policy(settings.start_size, settings.recent_size, context_tokens).map(CachePolicy::Streaming)
}

/// Makes sinks and window, if they fit the model together with the token that attends to them.
pub(super) fn streaming_policy(sinks: usize, window: usize, context_tokens: usize) -> Result<SinkWindow, CommandError> {
    if sinks.saturating_add(window).saturating_add(1) > context_tokens {
        return Err(format!(
            "{sinks} sinks and a window of {window} tokens don't fit a model trained for {context_tokens} tokens"
        )
        .into());
    }
    Ok(SinkWindow::new(sinks as u64, window as u64))
}
