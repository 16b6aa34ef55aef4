//! How a turn may end, and what the log says of it.

use conversation_store::TurnState;
use engine::Finished;
use protocol::{Done, ErrorCode, ErrorEvent, FinishReason, ServerEvent, Timings, Usage};

use crate::wire;

/// The end of a turn.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The engine finished, by itself or because it was asked to.
    Finished(Finished),
    /// It was cancelled before the engine took it up.
    Unasked,
    /// It can't be completed.
    Failed(ErrorEvent),
    /// The process ends, or has ended, before the turn.
    Interrupted,
}

impl Ending {
    pub(crate) fn state(&self) -> TurnState {
        match self {
            Self::Finished(finished) => match finished.reason {
                engine::FinishReason::Stop | engine::FinishReason::Length => TurnState::Done,
                engine::FinishReason::Cancelled => TurnState::Cancelled,
            },
            Self::Unasked => TurnState::Cancelled,
            Self::Failed(_) => TurnState::Failed,
            Self::Interrupted => TurnState::Interrupted,
        }
    }

    /// What the engine said last, if it did.
    pub(crate) fn finished(&self) -> Option<&Finished> {
        match self {
            Self::Finished(finished) => Some(finished),
            Self::Unasked | Self::Failed(_) | Self::Interrupted => None,
        }
    }

    pub(crate) fn event(&self) -> ServerEvent {
        match self {
            Self::Finished(finished) => ServerEvent::Done(wire::done(finished)),
            Self::Unasked => ServerEvent::Done(Done {
                finish_reason: FinishReason::Cancelled,
                usage: Usage::default(),
                timings: Timings::default(),
            }),
            Self::Failed(fault) => ServerEvent::Error(fault.clone()),
            Self::Interrupted => ServerEvent::Error(ErrorEvent::new(
                ErrorCode::Interrupted,
                "the server stopped before the turn had ended",
            )),
        }
    }
}
