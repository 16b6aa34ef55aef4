//! Why a turn can't go on.

use conversation_store::StoreError;
use engine::EngineError;
use protocol::{ErrorCode, ErrorEvent};

use super::ending::Ending;
use crate::error::ChatError;
use crate::tool_rounds::MAX_CALL_BYTES;

/// Why a turn can't go on.
pub(super) enum TurnError {
    /// The engine refused or failed.
    Engine(EngineError),
    /// The engine closed its channel without an end.
    EngineGone,
    /// The model's tool calls are larger than a turn may store.
    CallsTooLarge {
        /// Size of text and calls of the turn's rounds, as JSON.
        bytes: usize,
    },
    /// The log can't be written, or the history not read.
    Store(StoreError),
    /// The process is about to end.
    Interrupted,
}

impl TurnError {
    /// Returns how the turn ends because of the error.
    pub(super) fn ending(self) -> Ending {
        match self {
            Self::Engine(error) => Ending::Failed(ChatError::Engine(error).event()),
            Self::EngineGone => Ending::Failed(ErrorEvent::new(
                ErrorCode::Internal,
                "the engine stopped in the middle of the answer",
            )),
            Self::CallsTooLarge { bytes } => Ending::Failed(ErrorEvent::new(
                ErrorCode::TooLarge,
                format!("the model's calls of tools have {bytes} bytes, and {MAX_CALL_BYTES} are allowed in a turn"),
            )),
            Self::Store(error) => Ending::Failed(ChatError::Store(error).event()),
            Self::Interrupted => Ending::Interrupted,
        }
    }
}

impl From<EngineError> for TurnError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<StoreError> for TurnError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
