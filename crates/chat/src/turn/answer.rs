//! One answer of one engine, on its way to the log.

use std::sync::Arc;

use conversation_store::{AnswerDelta, StartedFacts};
use engine::{Engine, EngineError, EngineEvent, Finished, Generation, ToolCall};
use protocol::{Evicted, Reasoning, ServerEvent, Started, Step, Token};
use tokio::sync::watch;

use super::evicted::Epoch;
use super::log::{Entry, Log};
use super::request::{self, Asked, Source};
use super::{Broken, Live, stopped};
use crate::lane::Stop;
use crate::prompt::LeftOut;
use crate::rounds::Record;

/// What an engine has said.
pub(super) enum Said {
    /// It has finished.
    Finished {
        finished: Finished,
        /// What it said in this round.
        text: String,
        /// The tools that it asks for.
        calls: Vec<ToolCall>,
    },
    /// It was cancelled before it took the request up.
    Unasked,
}

/// Asks one engine once: with what its cache lacks, and with the whole history if the cache is gone.
pub(super) async fn ask(
    live: &Live,
    engine: &Arc<dyn Engine>,
    record: &Record,
    log: &mut Log<'_>,
    stop: &mut watch::Receiver<Stop>,
) -> Result<Said, Broken> {
    let said = attempt(live, engine, record, (log, stop), Source::Cache).await;
    if let Err(Broken::Engine(EngineError::NotCached { .. })) = &said {
        return attempt(live, engine, record, (log, stop), Source::History).await;
    }
    said
}

async fn attempt(
    live: &Live,
    engine: &Arc<dyn Engine>,
    record: &Record,
    (log, stop): (&mut Log<'_>, &mut watch::Receiver<Stop>),
    source: Source,
) -> Result<Said, Broken> {
    let Asked { request, left_out } = request::request(live, engine, record, source).await?;
    let epoch = Epoch::new(live, &request, left_out.is_some());
    let step = (!live.tools.is_empty()).then_some(record.rounds.len() as u64 + 1);
    let generation = engine.generate(request).map_err(Broken::Engine)?;
    Answer {
        engine,
        log,
        epoch,
        left_out,
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
    log: &'a mut Log<'log>,
    epoch: Epoch<'a>,
    left_out: Option<LeftOut>,
    /// The step that the answer begins, where tools make steps.
    step: Option<u64>,
    generation: Generation,
    /// Whether the engine has said so.
    has_started: bool,
    /// What was said, where tools make it a round.
    text: String,
    calls: Vec<ToolCall>,
}

impl Answer<'_, '_> {
    async fn pump(mut self, stop: &mut watch::Receiver<Stop>) -> Result<Said, Broken> {
        let canceller = self.generation.canceller();
        loop {
            tokio::select! {
                biased;
                stopped = stopped(stop) => match stopped {
                    Stop::No => {}
                    // The engine still says what its cache holds.
                    Stop::Cancel if self.has_started => canceller.cancel(),
                    // It may be busy with others for long, or refuse its cache; dropped, the request was never made.
                    Stop::Cancel => return Ok(Said::Unasked),
                    Stop::Interrupt => return Err(Broken::Interrupted),
                },
                committed = self.log.committed(), if self.log.is_waiting() => committed?,
                event = self.generation.next(), if !self.log.is_full() => {
                    let event = event.ok_or(Broken::EngineGone)?;
                    if let Some(finished) = self.take(event).await? {
                        let Self { text, calls, .. } = self;
                        return Ok(Said::Finished { finished, text, calls });
                    }
                }
            }
        }
    }

    async fn take(&mut self, event: EngineEvent) -> Result<Option<Finished>, Broken> {
        match event {
            EngineEvent::Queued { ahead } => self.log.tell_ahead(ahead),
            EngineEvent::Started(started) => {
                self.log.tell_ahead(0);
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
                    .append(Entry::from(event).with_answer(AnswerDelta { text, ids }))
                    .await?;
            }
            EngineEvent::Reasoning { text } => {
                let event = ServerEvent::Reasoning(Reasoning { token: text });
                self.log.append(event.into()).await?;
            }
            EngineEvent::ToolCall(call) => self.calls.push(call),
            EngineEvent::Evicted { tokens, through } => {
                let turns = self.epoch.gone(through).await?;
                let event = ServerEvent::Evicted(Evicted { tokens, turns });
                self.log.append(event.into()).await?;
            }
            EngineEvent::Finished(finished) => return Ok(Some(finished)),
            EngineEvent::Failed(error) => return Err(Broken::Engine(error)),
        }
        Ok(None)
    }

    /// A turn starts once; a later round of it only begins a step.
    async fn started(&mut self, started: &engine::Started) -> Result<(), Broken> {
        let twice = std::mem::replace(&mut self.has_started, true);
        // The log refuses an engine that starts twice.
        if twice || !self.log.has_started() {
            self.log.append(self.start_of_turn(started)).await?;
            self.epoch.starts_with(started.epoch);
            self.say_left_out().await?;
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

    fn start_of_turn(&self, started: &engine::Started) -> Entry {
        let model = self.engine.model();
        let event = ServerEvent::Started(Started {
            model: model.name,
            prompt_tokens: started.prompt_tokens,
            cached_tokens: started.cached_tokens,
            window_tokens: started.window_tokens,
        });
        Entry::from(event).with_start(StartedFacts {
            model: model.fingerprint,
            prompt_tokens: started.prompt_tokens,
            epoch: Some(started.epoch.0),
        })
    }

    /// Says which turns a bounded model no longer sees, those that it has not been said of before.
    async fn say_left_out(&mut self) -> Result<(), Broken> {
        let Some(left_out) = &self.left_out else { return Ok(()) };
        let (turns, tokens) = self.epoch.left_out(left_out).await?;
        if !turns.is_empty() {
            let event = ServerEvent::Evicted(Evicted { tokens, turns });
            self.log.append(event.into()).await?;
        }
        Ok(())
    }
}
