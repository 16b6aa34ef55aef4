//! What a turn is and what it needs, fixed when it starts.

use std::sync::Arc;

use conversation_store::TurnKey;
use engine::Options;
use protocol::ToolDefinition;

use crate::services::TurnServices;
use crate::tool_rounds::ToolRounds;
use crate::tools::ToolOutputs;

/// A turn that is in the log, as it was when it began.
pub(crate) struct TurnContext {
    pub services: Arc<TurnServices>,
    pub conversation: String,
    pub turn_id: String,
    pub key: TurnKey,
    /// The system part of the prompt.
    pub system: Option<String>,
    pub options: Options,
    pub seed: u64,
    /// The models that may answer, in this order; a later one is asked only if the earlier ones have not started.
    pub models: Vec<String>,
    /// The tools that the model may call.
    pub tools: Vec<ToolDefinition>,
}

/// A turn that can run.
pub(crate) struct ReadyTurn {
    pub context: Arc<TurnContext>,
    /// `None` for a new turn.
    pub resumed: Option<ResumedRounds>,
}

/// The rounds of a turn that was cut off by a restart while it waited for tools.
pub(crate) struct ResumedRounds {
    pub rounds: ToolRounds,
    /// The outputs of the open calls, registered before any client could submit one.
    pub outputs: Option<ToolOutputs>,
}
