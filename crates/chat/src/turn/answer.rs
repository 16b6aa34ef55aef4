//! One answer of one engine: logs its events, and keeps what a round needs of it.

use std::sync::Arc;

use conversation_store::{AnswerDelta, StartedFacts};
use engine::{Engine, EngineEvent, Finished, ToolCall};
use protocol::{Evicted, Reasoning, ServerEvent, Started, Step, Token};

use super::error::TurnError;
use super::eviction::EvictionTracker;
use super::log::{LogEntry, TurnLog};
use crate::signals::TurnReporter;

/// How an engine's answer ended.
pub(super) enum Completion {
    /// The engine finished, by itself or after a cancellation.
    Finished {
        finished: Finished,
        /// The text of this round, if the turn has tools.
        text: String,
        /// The tools that it calls.
        calls: Vec<ToolCall>,
    },
    /// The turn was cancelled before the engine started.
    CancelledBeforeStart,
}

/// An answer while it is generated.
pub(super) struct Answer {
    engine: Arc<dyn Engine>,
    eviction: EvictionTracker,
    /// The number of the step that the answer begins, if the turn has tools.
    step: Option<usize>,
    /// True once the engine has started this answer.
    has_started: bool,
    /// The answer's text, kept if the turn has tools.
    text: String,
    calls: Vec<ToolCall>,
}

impl Answer {
    /// Creates an answer of which nothing has been generated.
    pub(super) fn new(engine: &Arc<dyn Engine>, eviction: EvictionTracker, step: Option<usize>) -> Self {
        Self {
            engine: Arc::clone(engine),
            eviction,
            step,
            has_started: false,
            text: String::new(),
            calls: Vec::new(),
        }
    }

    /// Returns true once the engine has started the answer.
    pub(super) fn has_started(&self) -> bool {
        self.has_started
    }

    /// Returns the completion of an answer that the engine has finished.
    pub(super) fn completion(self, finished: Finished) -> Completion {
        let Self { text, calls, .. } = self;
        Completion::Finished { finished, text, calls }
    }

    /// Handles one event; returns the engine's result with the last one.
    pub(super) async fn take(
        &mut self,
        event: EngineEvent,
        log: &mut TurnLog,
        reporter: &TurnReporter,
    ) -> Result<Option<Finished>, TurnError> {
        match event {
            EngineEvent::Queued { ahead } => reporter.set_engine_position(ahead),
            EngineEvent::Started(started) => {
                reporter.set_engine_position(0);
                self.start(&started, log).await?;
            }
            EngineEvent::Token { text, ids } => {
                if self.step.is_some() {
                    self.text.push_str(&text);
                }
                let event = ServerEvent::Token(Token {
                    token: text.clone(),
                    first_seq: None,
                });
                let entry = LogEntry::from(event).with_answer(AnswerDelta { text, ids });
                log.append(entry).await?;
            }
            EngineEvent::Reasoning { text } => {
                let event = ServerEvent::Reasoning(Reasoning { token: text });
                log.append(event.into()).await?;
            }
            EngineEvent::ToolCall(call) => self.calls.push(call),
            EngineEvent::Evicted { tokens, through } => {
                let turns = self.eviction.newly_evicted(through).await?;
                let event = ServerEvent::Evicted(Evicted { tokens, turns });
                log.append(event.into()).await?;
            }
            EngineEvent::Finished(finished) => return Ok(Some(finished)),
            EngineEvent::Failed(error) => return Err(error.into()),
        }
        Ok(None)
    }

    /// Logs the start of the turn, in its first round only, and of the round's step.
    async fn start(&mut self, started: &engine::Started, log: &mut TurnLog) -> Result<(), TurnError> {
        let twice = std::mem::replace(&mut self.has_started, true);
        // A second start of one answer is appended, too, so that the store refuses it.
        if twice || !log.has_started() {
            log.append(self.start_of_turn(started)).await?;
            self.eviction.starts_with(started.epoch);
            // Turns that were truncated for a bounded model are evicted before its first token.
            if let Some(evicted) = self.eviction.newly_truncated().await? {
                log.append(ServerEvent::Evicted(evicted).into()).await?;
            }
        }
        if let Some(step) = self.step {
            let step = Step {
                step: step as u64,
                title: None,
                payload: None,
            };
            log.append(ServerEvent::StepStart(step).into()).await?;
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
}
