//! What the host decides for all turns.

use std::time::{SystemTime, UNIX_EPOCH};

/// Defaults of options, and where the time comes from.
#[derive(Debug, Clone)]
pub struct ChatSettings {
    /// `maxNewTokens` where neither agent, hello nor message says one; 1 to 8,192.
    pub max_new_tokens: u32,
    /// Milliseconds since 1970, UTC.
    pub clock: fn() -> i64,
}

impl Default for ChatSettings {
    /// 512 tokens, and the system's clock.
    fn default() -> Self {
        Self {
            max_new_tokens: engine::Options::default().max_new_tokens,
            clock: system_clock,
        }
    }
}

fn system_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
