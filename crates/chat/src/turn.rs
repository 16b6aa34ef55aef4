//! One turn: waits its turn, asks the engine, writes what comes to the log, and ends in exactly one terminal event.

pub(crate) mod ending;
mod evicted;
mod log;
mod request;

use std::sync::Arc;

use conversation_store::{AnswerDelta, StartedFacts, StoreError, TurnKey};
use engine::{EngineError, EngineEvent, Generation, Options, Request};
use protocol::{ErrorCode, ErrorEvent, Evicted, ServerEvent, Started, Token};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinError;

use crate::lane::Stop;
use crate::{ChatError, Shared};

pub(crate) use evicted::Marks;

use ending::Ending;
use evicted::Epoch;
use log::Log;
use request::Source;

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
}

/// Why an attempt to answer came to no end of its own.
enum Broken {
    /// The engine said so.
    Engine(EngineError),
    /// The engine is gone without a last word.
    EngineGone,
    /// The log or the history can't be written or read.
    Store(StoreError),
    /// The process is about to end.
    Interrupted,
}

/// Runs a turn from its place in the lane to its terminal event.
pub(crate) async fn run(live: Arc<Live>, go: oneshot::Receiver<()>, mut stop: watch::Receiver<Stop>) {
    let mut log = Log::new(&live);
    let ending = match wait_for_go(go, &mut stop).await {
        Stop::No => answer(&live, &mut log, &mut stop).await,
        Stop::Cancel => Ending::Unasked,
        Stop::Interrupt => Ending::Interrupted,
    };
    log.end(ending, &mut stop).await;
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

async fn answer(live: &Live, log: &mut Log<'_>, stop: &mut watch::Receiver<Stop>) -> Ending {
    let mut answered = attempt(live, log, stop, Source::Cache).await;
    if let Err(Broken::Engine(EngineError::NotCached { .. })) = &answered {
        answered = attempt(live, log, stop, Source::History).await;
    }
    match answered {
        Ok(ending) => ending,
        Err(Broken::Engine(error)) => Ending::Failed(ChatError::Engine(error).event()),
        Err(Broken::EngineGone) => Ending::Failed(ErrorEvent::new(
            ErrorCode::Internal,
            "the engine stopped in the middle of the answer",
        )),
        Err(Broken::Store(error)) => Ending::Failed(ChatError::Store(error).event()),
        Err(Broken::Interrupted) => Ending::Interrupted,
    }
}

async fn attempt(
    live: &Live,
    log: &mut Log<'_>,
    stop: &mut watch::Receiver<Stop>,
    source: Source,
) -> Result<Ending, Broken> {
    let request = request::request(live, source).await?;
    let epoch = Epoch::new(live, &request);
    let generation = live.shared.engine.generate(request).map_err(Broken::Engine)?;
    Answer {
        live,
        log,
        epoch,
        generation,
        has_started: false,
    }
    .pump(stop)
    .await
}

/// An answer on its way from the engine to the log.
struct Answer<'a, 'log> {
    live: &'a Live,
    log: &'a mut Log<'log>,
    epoch: Epoch<'a>,
    generation: Generation,
    /// Whether the engine has said so.
    has_started: bool,
}

impl Answer<'_, '_> {
    async fn pump(mut self, stop: &mut watch::Receiver<Stop>) -> Result<Ending, Broken> {
        let canceller = self.generation.canceller();
        loop {
            tokio::select! {
                biased;
                stopped = stopped(stop) => match stopped {
                    Stop::No => {}
                    // The engine still says what its cache holds.
                    Stop::Cancel if self.has_started => canceller.cancel(),
                    // It may be busy with others for long, or refuse its cache; dropped, the request was never made.
                    Stop::Cancel => return Ok(Ending::Unasked),
                    Stop::Interrupt => return Err(Broken::Interrupted),
                },
                committed = self.log.committed(), if self.log.is_waiting() => committed?,
                event = self.generation.next(), if !self.log.is_full() => {
                    let event = event.ok_or(Broken::EngineGone)?;
                    if let Some(ending) = self.take(event).await? {
                        return Ok(ending);
                    }
                }
            }
        }
    }

    async fn take(&mut self, event: EngineEvent) -> Result<Option<Ending>, Broken> {
        match event {
            EngineEvent::Started(started) => self.started(&started).await?,
            EngineEvent::Token { text, ids } => {
                let event = ServerEvent::Token(Token {
                    token: text.clone(),
                    first_seq: None,
                });
                self.log.append(&event, Some(AnswerDelta { text, ids }), None).await?;
            }
            EngineEvent::Evicted { tokens, through } => {
                let turns = self.epoch.gone(through).await?;
                self.log
                    .append(&ServerEvent::Evicted(Evicted { tokens, turns }), None, None)
                    .await?;
            }
            EngineEvent::Finished(finished) => return Ok(Some(Ending::Finished(finished))),
            EngineEvent::Failed(error) => return Err(Broken::Engine(error)),
        }
        Ok(None)
    }

    async fn started(&mut self, started: &engine::Started) -> Result<(), Broken> {
        self.has_started = true;
        let model = self.live.shared.engine.model();
        let event = ServerEvent::Started(Started {
            model: model.name,
            prompt_tokens: started.prompt_tokens,
            cached_tokens: started.cached_tokens,
            window_tokens: started.window_tokens,
        });
        let facts = StartedFacts {
            model: model.fingerprint,
            prompt_tokens: started.prompt_tokens,
            epoch: Some(started.epoch.0),
        };
        self.epoch.starts_with(started.epoch);
        self.log.append(&event, None, Some(facts)).await?;
        Ok(())
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
