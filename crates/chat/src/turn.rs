//! One turn: waits its turn, asks the engine, writes what comes to the log, and ends in exactly one terminal event.

mod answer;
pub(crate) mod ending;
mod evicted;
mod log;
mod request;
mod rounds;

use std::sync::{Arc, Mutex};

use conversation_store::{StoreError, TurnKey};
use engine::{EngineError, Options};
use protocol::{ErrorCode, ErrorEvent, ToolDefinition};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinError;

use crate::lane::Stop;
use crate::rounds::{MAX_ASKED_BYTES, Record};
use crate::tools::Outputs;
use crate::{ChatError, Shared};

pub(crate) use evicted::Marks;

use ending::Ending;
use log::Log;

/// A turn that has begun.
pub(crate) struct Live {
    pub shared: Arc<Shared>,
    pub conversation: String,
    pub turn_id: String,
    pub key: TurnKey,
    /// The agent's words, as they were when the turn began.
    pub system: Option<String>,
    pub options: Options,
    pub seed: u64,
    /// The models that may answer, the first one first; a later one is asked only while nothing has been sent.
    pub models: Vec<String>,
    /// What the model may ask for.
    pub tools: Vec<ToolDefinition>,
    /// The rounds that were made before the process was started anew.
    pub resumed: Option<Record>,
    /// Their calls that wait, taken up before any client could answer too early.
    pub waiting: Mutex<Option<Outputs>>,
}

/// What becomes of a turn that has run.
enum Outcome {
    /// It is over.
    Ended(Ending),
    /// It waits for a tool, and goes on after the process is started anew.
    LeftOpen,
}

/// Why an answer came to no end of its own.
enum Broken {
    /// The engine said so.
    Engine(EngineError),
    /// The engine is gone without a last word.
    EngineGone,
    /// The model asks for tools with more words than a turn may keep.
    AskedTooMuch {
        /// What it has said in the turn's rounds.
        bytes: usize,
    },
    /// The log or the history can't be written or read.
    Store(StoreError),
    /// The process is about to end.
    Interrupted,
}

/// Runs a turn from its place in the lane to its terminal event.
pub(crate) async fn run(live: Arc<Live>, go: oneshot::Receiver<()>, mut stop: watch::Receiver<Stop>) {
    let mut log = Log::new(&live);
    let outcome = match wait_for_go(go, &mut stop).await {
        Stop::No => rounds::answer(&live, &mut log, &mut stop).await,
        // Nothing was said that is not there when it is taken up again.
        Stop::Interrupt if live.resumed.is_some() => Outcome::LeftOpen,
        Stop::Cancel => Outcome::Ended(Ending::Unasked),
        Stop::Interrupt => Outcome::Ended(Ending::Interrupted),
    };
    match outcome {
        Outcome::Ended(ending) => log.end(ending, &mut stop).await,
        Outcome::LeftOpen => log.leave_open().await,
    }
}

/// Ends a turn whose task has panicked.
pub(crate) async fn fail_after_panic(live: &Live, error: &JoinError, stop: &mut watch::Receiver<Stop>) {
    tracing::error!(conversation = live.conversation, turn = live.turn_id, %error, "a turn's task panicked");
    let fault = ErrorEvent::new(ErrorCode::Internal, "the turn met a fault of the server");
    Log::new(live).end(Ending::Failed(fault), stop).await;
}

async fn wait_for_go(go: oneshot::Receiver<()>, stop: &mut watch::Receiver<Stop>) -> Stop {
    tokio::select! {
        biased;
        stopped = stopped(stop) => stopped,
        // The lane is gone only with the runtime.
        went = go => if went.is_ok() { Stop::No } else { Stop::Interrupt },
    }
}

/// Waits until the turn is told something new.
async fn stopped(stop: &mut watch::Receiver<Stop>) -> Stop {
    match stop.changed().await {
        Ok(()) => *stop.borrow_and_update(),
        Err(_) => Stop::Interrupt,
    }
}

impl Broken {
    fn ending(self) -> Ending {
        match self {
            Self::Engine(error) => Ending::Failed(ChatError::Engine(error).event()),
            Self::EngineGone => Ending::Failed(ErrorEvent::new(
                ErrorCode::Internal,
                "the engine stopped in the middle of the answer",
            )),
            Self::AskedTooMuch { bytes } => Ending::Failed(ErrorEvent::new(
                ErrorCode::TooLarge,
                format!("the model's calls of tools have {bytes} bytes, and {MAX_ASKED_BYTES} are allowed in a turn"),
            )),
            Self::Store(error) => Ending::Failed(ChatError::Store(error).event()),
            Self::Interrupted => Ending::Interrupted,
        }
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
