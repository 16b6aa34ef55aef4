//! One turn: waits in its queue, asks the engine, logs the answer, and ends in exactly one terminal event.

pub(crate) mod ending;
mod eviction;
mod generation;
mod log;
mod request;
mod run;

use std::sync::{Arc, Mutex};

use conversation_store::{StoreError, TurnKey};
use engine::{EngineError, Options};
use protocol::{ErrorCode, ErrorEvent, ToolDefinition};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinError;

use crate::tool_rounds::{MAX_CALL_BYTES, ToolRounds};
use crate::tools::ToolOutputs;
use crate::turn_queue::StopSignal;
use crate::{ChatError, Shared};

pub(crate) use eviction::EvictionCursors;

use ending::Ending;
use log::TurnLog;

/// A turn that is in the log, as it was when it began.
pub(crate) struct TurnContext {
    pub shared: Arc<Shared>,
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
    /// The rounds of a turn that is resumed after a restart of the process.
    pub resumed: Option<ToolRounds>,
    /// The outputs of their open calls, registered before any client could submit one.
    pub open_outputs: Mutex<Option<ToolOutputs>>,
}

/// The result of a turn's run.
enum Outcome {
    /// The turn is over.
    Ended(Ending),
    /// The turn waits for a tool, and is resumed after a restart of the process.
    LeftOpen,
}

/// Why a turn can't go on.
enum TurnError {
    /// The engine refused or failed.
    Engine(EngineError),
    /// The engine closed its channel without an end.
    EngineGone,
    /// The model's tool calls are larger than a turn may store.
    CallsTooLarge {
        /// Size of the turn's rounds without outputs, as JSON.
        bytes: usize,
    },
    /// The log can't be written, or the history not read.
    Store(StoreError),
    /// The process is about to end.
    Interrupted,
}

/// Runs a turn, from waiting in its queue to its terminal event.
pub(crate) async fn run(context: Arc<TurnContext>, go: oneshot::Receiver<()>, mut stop: watch::Receiver<StopSignal>) {
    let mut log = TurnLog::new(&context);
    let outcome = match wait_for_go(go, &mut stop).await {
        StopSignal::Run => run::answer(&context, &mut log, &mut stop).await,
        // It has generated nothing yet that a resume would lack.
        StopSignal::Shutdown if context.resumed.is_some() => Outcome::LeftOpen,
        StopSignal::Cancel => Outcome::Ended(Ending::CancelledBeforeStart),
        StopSignal::Shutdown => Outcome::Ended(Ending::Interrupted),
    };
    match outcome {
        Outcome::Ended(ending) => log.end(ending, &mut stop).await,
        Outcome::LeftOpen => log.leave_open().await,
    }
}

/// Writes the terminal event of a turn whose task has panicked.
pub(crate) async fn fail_after_panic(context: &TurnContext, error: &JoinError, stop: &mut watch::Receiver<StopSignal>) {
    tracing::error!(conversation = context.conversation, turn = context.turn_id, %error, "a turn's task panicked");
    let fault = ErrorEvent::new(ErrorCode::Internal, "the turn met a fault of the server");
    TurnLog::new(context).end(Ending::Failed(fault), stop).await;
}

/// Waits until the queue starts the turn, or a stop signal comes.
async fn wait_for_go(go: oneshot::Receiver<()>, stop: &mut watch::Receiver<StopSignal>) -> StopSignal {
    tokio::select! {
        biased;
        stopped = stopped(stop) => stopped,
        // The queue's task ends first only if the runtime does.
        went = go => if went.is_ok() { StopSignal::Run } else { StopSignal::Shutdown },
    }
}

/// Waits for the next stop signal. A closed channel means shutdown.
async fn stopped(stop: &mut watch::Receiver<StopSignal>) -> StopSignal {
    match stop.changed().await {
        Ok(()) => *stop.borrow_and_update(),
        Err(_) => StopSignal::Shutdown,
    }
}

impl TurnError {
    fn ending(self) -> Ending {
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

impl From<StoreError> for TurnError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
