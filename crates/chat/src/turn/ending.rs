//! The ways in which a turn ends, with the state and the terminal event of each.

use conversation_store::TurnState;
use engine::Finished;
use protocol::{Done, ErrorCode, ErrorEvent, FinishReason, ServerEvent, Timings, Usage};

use crate::frames;

/// The end of a turn.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The engine finished, by itself or after a cancellation.
    Finished(Finished),
    /// The turn was cancelled before an engine started it.
    CancelledBeforeStart,
    /// The turn can't be completed.
    Failed(ErrorEvent),
    /// The process ends or has ended before the turn.
    Interrupted,
}

impl Ending {
    /// Returns the state of the stored turn.
    pub(crate) fn state(&self) -> TurnState {
        match self {
            Self::Finished(finished) => match finished.reason {
                engine::FinishReason::Stop | engine::FinishReason::Length => TurnState::Done,
                engine::FinishReason::Cancelled => TurnState::Cancelled,
            },
            Self::CancelledBeforeStart => TurnState::Cancelled,
            Self::Failed(_) => TurnState::Failed,
            Self::Interrupted => TurnState::Interrupted,
        }
    }

    /// Returns the engine's result, if it finished.
    pub(crate) fn finished(&self) -> Option<&Finished> {
        match self {
            Self::Finished(finished) => Some(finished),
            Self::CancelledBeforeStart | Self::Failed(_) | Self::Interrupted => None,
        }
    }

    /// Returns the terminal event.
    pub(crate) fn event(&self) -> ServerEvent {
        match self {
            Self::Finished(finished) => ServerEvent::Done(frames::done(finished)),
            Self::CancelledBeforeStart => ServerEvent::Done(Done {
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
