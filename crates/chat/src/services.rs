//! What all turns share: stores, models, settings and counters.

use conversation_store::ConversationStore;

use crate::eviction_cursors::EvictionCursors;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::settings::ChatSettings;
use crate::tool_rounds::ToolRounds;
use crate::tools::{PendingCalls, ToolOutputs};

/// The parts of a chat that turns need, shared by all of them. There is no queue and no agent among them: a turn
/// neither orders others nor reads an agent's file.
pub(crate) struct TurnServices {
    pub store: ConversationStore,
    pub models: Models,
    pub settings: ChatSettings,
    pub eviction_cursors: EvictionCursors,
    pub pending_calls: PendingCalls,
    pub metrics: Metrics,
}

impl TurnServices {
    /// Creates services without any turn so far.
    pub(crate) fn new(store: ConversationStore, models: Models, settings: ChatSettings) -> Self {
        Self {
            store,
            models,
            settings,
            eviction_cursors: EvictionCursors::default(),
            pending_calls: PendingCalls::default(),
            metrics: Metrics::new(),
        }
    }

    /// Opens the calls of a turn's last round that have no output, for the handler and for clients.
    pub(crate) fn open_calls(&self, conversation: &str, turn_id: &str, rounds: &ToolRounds) -> Option<ToolOutputs> {
        let handler = self.settings.tool_handler.as_ref();
        self.pending_calls.open(conversation, turn_id, rounds, handler)
    }

    /// Returns the time of an event that is logged now.
    pub(crate) fn now_ms(&self) -> i64 {
        (self.settings.clock)()
    }
}
