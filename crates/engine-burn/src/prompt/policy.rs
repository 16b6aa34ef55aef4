//! Chooses a conversation's cache policy: the pinned system part as sinks, and the size of the window behind it.

use engine::{EngineError, Options};
use kv_cache::{CachePolicy, SinkWindow};

/// A window is never made smaller than this to make room for a long system part: with fewer tokens, a model loses the
/// thread.
const MIN_WINDOW_TOKENS: u64 = 256;

/// The cache policy of a conversation that asks for nothing else, from the settings and the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Defaults {
    /// True for sinks and a window, false for a dense cache.
    pub(crate) streaming: bool,
    /// The least number of attention sinks.
    pub(crate) sink_tokens: u64,
    /// Tokens of the window.
    pub(crate) window_tokens: u64,
    /// The context that the model was trained for.
    pub(crate) context_tokens: u64,
}

impl Defaults {
    /// Returns the cache policy of a conversation whose system part has `system_tokens`.
    ///
    /// # Errors
    /// [`EngineError::ContextTooLarge`] when the system part leaves too little room, [`EngineError::InvalidRequest`]
    /// for a window of 0.
    pub(crate) fn cache_policy(&self, options: &Options, system_tokens: u64) -> Result<CachePolicy, EngineError> {
        if !self.streaming {
            return Ok(CachePolicy::Dense {
                max_tokens: self.context_tokens,
            });
        }
        let sinks = options
            .sink_tokens
            .map_or(self.sink_tokens, u64::from)
            .max(system_tokens);
        let wanted = options.window_tokens.map_or(self.window_tokens, u64::from);
        if wanted == 0 {
            return Err(EngineError::InvalidRequest {
                reason: "window_tokens is 0, expected at least 1".to_owned(),
            });
        }
        // Sinks, window and the token that attends to them must all be at positions that the model was trained on.
        let room = self.context_tokens.saturating_sub(sinks).saturating_sub(1);
        let window = wanted.min(room);
        let least = wanted.min(MIN_WINDOW_TOKENS);
        if window < least {
            return Err(EngineError::ContextTooLarge {
                part: "the system part",
                needed_tokens: sinks.saturating_add(least).saturating_add(1),
                limit_tokens: self.context_tokens,
            });
        }
        Ok(CachePolicy::Streaming(SinkWindow::new(sinks, window)))
    }
}

/// Returns the tokens of history that a new epoch reads again: as many as its window has, or all.
pub(crate) fn history_room(policy: CachePolicy) -> u64 {
    match policy {
        CachePolicy::Streaming(sink_window) => sink_window.window(),
        CachePolicy::Dense { .. } => u64::MAX,
    }
}
