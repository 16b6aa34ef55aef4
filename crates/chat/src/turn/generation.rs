//! One answer of one engine, from the request to the log.

use std::sync::Arc;

use conversation_store::{AnswerDelta, StartedFacts};
use engine::{Engine, EngineError, EngineEvent, Finished, Generation, ToolCall};
use protocol::{Evicted, Reasoning, ServerEvent, Started, Step, Token};
use tokio::sync::watch;

use super::eviction::EvictionTracker;
use super::log::{LogEntry, TurnLog};
use super::request::{self, PreparedRequest, PromptSource};
use super::{TurnContext, TurnError, stopped};
use crate::prompt::Truncated;
use crate::tool_rounds::ToolRounds;
use crate::turn_queue::StopSignal;

/// How an engine's answer ended.
pub(super) enum Completion {
    /// The engine finished, by itself or after a cancellation.
    Finished {
        finished: Finished,
        /// The text of this round.
        text: String,
        /// The tools that it calls.
        calls: Vec<ToolCall>,
    },
    /// The turn was cancelled before the engine started.
    CancelledBeforeStart,
}

/// Asks one engine: with what its cache lacks, and with the whole history if the cache is gone.
pub(super) async fn ask(
    context: &TurnContext,
    engine: &Arc<dyn Engine>,
    rounds: &ToolRounds,
    log: &mut TurnLog<'_>,
    stop: &mut watch::Receiver<StopSignal>,
) -> Result<Completion, TurnError> {
    let completion = attempt(context, engine, rounds, (log, stop), PromptSource::Cache).await;
    if let Err(TurnError::Engine(EngineError::NotCached { .. })) = &completion {
        return attempt(context, engine, rounds, (log, stop), PromptSource::History).await;
    }
    completion
}

/// Asks one engine once.
async fn attempt(
    context: &TurnContext,
    engine: &Arc<dyn Engine>,
    rounds: &ToolRounds,
    (log, stop): (&mut TurnLog<'_>, &mut watch::Receiver<StopSignal>),
    source: PromptSource,
) -> Result<Completion, TurnError> {
    let PreparedRequest { request, truncated } = request::request(context, engine, rounds, source).await?;
    let eviction = EvictionTracker::new(context, &request, truncated.is_some());
    let step = (!context.tools.is_empty()).then_some(rounds.rounds.len() as u64 + 1);
    let generation = engine.generate(request).map_err(TurnError::Engine)?;
    Answer {
        engine,
        log,
        eviction,
        truncated,
        step,
        generation,
        has_started: false,
        text: String::new(),
        calls: Vec::new(),
    }
    .pump(stop)
    .await
}

/// An answer on its way from the engine to the log.
struct Answer<'a, 'log> {
    engine: &'a Arc<dyn Engine>,
    log: &'a mut TurnLog<'log>,
    eviction: EvictionTracker<'a>,
    truncated: Option<Truncated>,
    /// The number of the step that the answer begins, if the turn has tools.
    step: Option<u64>,
    generation: Generation,
    /// True once the engine has started this answer.
    has_started: bool,
    /// The answer's text, kept if the turn has tools.
    text: String,
    calls: Vec<ToolCall>,
}

impl Answer<'_, '_> {
    /// Moves the engine's events to the log until the answer ends.
    async fn pump(mut self, stop: &mut watch::Receiver<StopSignal>) -> Result<Completion, TurnError> {
        let canceller = self.generation.canceller();
        loop {
            tokio::select! {
                biased;
                stopped = stopped(stop) => match stopped {
                    StopSignal::Run => {}
                    // The engine still reports what its cache holds.
                    StopSignal::Cancel if self.has_started => canceller.cancel(),
                    // The engine may be busy for long, or refuse its cache; a dropped request is undone.
                    StopSignal::Cancel => return Ok(Completion::CancelledBeforeStart),
                    StopSignal::Shutdown => return Err(TurnError::Interrupted),
                },
                committed = self.log.committed(), if self.log.is_waiting() => committed?,
                event = self.generation.next(), if !self.log.is_full() => {
                    let event = event.ok_or(TurnError::EngineGone)?;
                    if let Some(finished) = self.take(event).await? {
                        let Self { text, calls, .. } = self;
                        return Ok(Completion::Finished { finished, text, calls });
                    }
                }
            }
        }
    }

    /// Handles one event; returns the result of the answer with the last one.
    async fn take(&mut self, event: EngineEvent) -> Result<Option<Finished>, TurnError> {
        match event {
            EngineEvent::Queued { ahead } => self.log.report_position(ahead),
            EngineEvent::Started(started) => {
                self.log.report_position(0);
                self.started(&started).await?;
            }
            EngineEvent::Token { text, ids } => {
                if self.step.is_some() {
                    self.text.push_str(&text);
                }
                let event = ServerEvent::Token(Token {
                    token: text.clone(),
                    first_seq: None,
                });
                self.log
                    .append(LogEntry::from(event).with_answer(AnswerDelta { text, ids }))
                    .await?;
            }
            EngineEvent::Reasoning { text } => {
                let event = ServerEvent::Reasoning(Reasoning { token: text });
                self.log.append(event.into()).await?;
            }
            EngineEvent::ToolCall(call) => self.calls.push(call),
            EngineEvent::Evicted { tokens, through } => {
                let turns = self.eviction.newly_evicted(through).await?;
                let event = ServerEvent::Evicted(Evicted { tokens, turns });
                self.log.append(event.into()).await?;
            }
            EngineEvent::Finished(finished) => return Ok(Some(finished)),
            EngineEvent::Failed(error) => return Err(TurnError::Engine(error)),
        }
        Ok(None)
    }

    /// Logs the start of the turn, in its first round only, and of the round's step.
    async fn started(&mut self, started: &engine::Started) -> Result<(), TurnError> {
        let twice = std::mem::replace(&mut self.has_started, true);
        // A second start of one answer is appended, too, so that the store refuses it.
        if twice || !self.log.has_started() {
            self.log.append(self.start_of_turn(started)).await?;
            self.eviction.starts_with(started.epoch);
            self.log_truncated().await?;
        }
        if let Some(step) = self.step {
            let step = Step {
                step,
                title: None,
                payload: None,
            };
            self.log.append(ServerEvent::StepStart(step).into()).await?;
        }
        Ok(())
    }

    fn start_of_turn(&self, started: &engine::Started) -> LogEntry {
        let model = self.engine.model();
        let event = ServerEvent::Started(Started {
            model: model.name,
            prompt_tokens: started.prompt_tokens,
            cached_tokens: started.cached_tokens,
            window_tokens: started.window_tokens,
        });
        LogEntry::from(event).with_start(StartedFacts {
            model: model.fingerprint,
            prompt_tokens: started.prompt_tokens,
            epoch: Some(started.epoch.0),
        })
    }

    /// Logs as evicted the turns that were truncated for a bounded model, unless an earlier answer did.
    async fn log_truncated(&mut self) -> Result<(), TurnError> {
        let Some(truncated) = &self.truncated else {
            return Ok(());
        };
        let (turns, tokens) = self.eviction.newly_truncated(truncated).await?;
        if !turns.is_empty() {
            let event = ServerEvent::Evicted(Evicted { tokens, turns });
            self.log.append(event.into()).await?;
        }
        Ok(())
    }
}
