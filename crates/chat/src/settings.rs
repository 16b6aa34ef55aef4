//! Settings of the host for all turns.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::ToolHandler;

/// How long a call of a tool may take: enough for a person who is asked for permission, or for a slow search.
const TOOL_TIMEOUT: Duration = Duration::from_secs(120);

/// Defaults of options, and where the time comes from.
#[derive(Debug, Clone)]
pub struct ChatSettings {
    /// `maxNewTokens` if neither agent, hello nor message sets it; 1 to 8,192.
    pub max_new_tokens: u32,
    /// Returns the time in milliseconds since 1970, UTC.
    pub clock: fn() -> i64,
    /// How long a tool call may take before the model gets an error as its output.
    pub tool_timeout: Duration,
    /// Runs tools in this process; calls that it doesn't answer are left to clients.
    pub tool_handler: Option<Arc<dyn ToolHandler>>,
}

impl Default for ChatSettings {
    /// Returns 512 tokens, the system's clock, 120 s for a tool, and no handler.
    fn default() -> Self {
        Self {
            max_new_tokens: engine::Options::default().max_new_tokens,
            clock: system_clock,
            tool_timeout: TOOL_TIMEOUT,
            tool_handler: None,
        }
    }
}

fn system_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
