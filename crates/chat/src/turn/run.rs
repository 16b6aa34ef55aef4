//! The run of one turn in rounds: the model answers, its tools run, the model goes on, until it calls no more tools.

use std::sync::PoisonError;

use engine::{EngineError, FinishReason, Finished, Timings, ToolCall};
use protocol::{ServerEvent, Step, Tool, ToolOutput};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::ending::Ending;
use super::generation::{self, Completion};
use super::log::{LogEntry, TurnLog};
use super::{Outcome, TurnContext, TurnError, stopped};
use crate::Shared;
use crate::tool_rounds::{MAX_CALL_BYTES, MAX_ROUNDS, ToolRounds};
use crate::tools::{ToolOutputs, ToolRequest};
use crate::turn_queue::StopSignal;

/// Runs the rounds of a turn until it ends or is left open.
pub(super) async fn answer(
    context: &TurnContext,
    log: &mut TurnLog<'_>,
    stop: &mut watch::Receiver<StopSignal>,
) -> Outcome {
    let mut run = TurnRun {
        context,
        rounds: context.resumed.clone().unwrap_or_default(),
        total: None,
    };
    loop {
        match run.next(log, stop).await {
            Ok(None) => {}
            Ok(Some(outcome)) => return outcome,
            Err(error) => return Outcome::Ended(error.ending()),
        }
    }
}

/// A turn between its rounds.
struct TurnRun<'a> {
    context: &'a TurnContext,
    rounds: ToolRounds,
    /// The sum of the rounds' results so far.
    total: Option<Finished>,
}

impl TurnRun<'_> {
    /// Runs one round; returns `None` if another one follows.
    async fn next(
        &mut self,
        log: &mut TurnLog<'_>,
        stop: &mut watch::Receiver<StopSignal>,
    ) -> Result<Option<Outcome>, TurnError> {
        if self.rounds.open_calls().next().is_none() {
            let Completion::Finished { finished, text, calls } = self.ask(log, stop).await? else {
                return Ok(Some(self.cancelled()));
            };
            let goes_on = finished.reason != FinishReason::Cancelled && !calls.is_empty() && self.may_go_on();
            self.add(finished);
            if !goes_on {
                self.finish_step(log).await?;
                return Ok(Some(self.ended()));
            }
            self.begin_calls(text, calls, log).await?;
        }
        let outcome = self.run_calls(log, stop).await?;
        if outcome.is_none() {
            self.finish_step_of(self.rounds.rounds.len(), log).await?;
        }
        Ok(outcome)
    }

    /// Asks the models in order until one answers; a model that has started is the only one.
    async fn ask(
        &mut self,
        log: &mut TurnLog<'_>,
        stop: &mut watch::Receiver<StopSignal>,
    ) -> Result<Completion, TurnError> {
        let mut first_error: Option<EngineError> = None;
        let models = &self.context.models;
        for (index, model) in models.iter().enumerate() {
            let completion = match self.context.shared.models.engine(model) {
                Ok(engine) => generation::ask(self.context, &engine, &self.rounds, log, stop).await,
                Err(error) => Err(TurnError::Engine(error)),
            };
            let error = match completion {
                Err(TurnError::Engine(error)) if !log.has_started() => error,
                completion => {
                    self.rounds.model.clone_from(model);
                    return completion;
                }
            };
            let turn = &self.context.turn_id;
            tracing::warn!(turn, model, %error, others = models.len() - index - 1, "a model did not answer");
            first_error.get_or_insert(error);
        }
        Err(first_error.map_or(TurnError::EngineGone, TurnError::Engine))
    }

    /// Returns true if there may be another round. The last round offers no tools, so calls in it are ignored.
    fn may_go_on(&self) -> bool {
        let rounds = self.rounds.rounds.len() + 1;
        if rounds >= MAX_ROUNDS {
            tracing::warn!(turn = self.context.turn_id, rounds, "a model goes on asking for tools");
        }
        rounds < MAX_ROUNDS
    }

    /// Logs the calls of a round, and stores the rounds so that the calls outlive the process.
    async fn begin_calls(
        &mut self,
        text: String,
        calls: Vec<ToolCall>,
        log: &mut TurnLog<'_>,
    ) -> Result<(), TurnError> {
        self.rounds.tools.clone_from(&self.context.tools);
        self.rounds.push(text, calls);
        let bytes = self.rounds.call_bytes();
        if bytes > MAX_CALL_BYTES {
            return Err(TurnError::CallsTooLarge { bytes });
        }
        let calls = self.rounds.open_calls();
        let events = calls.map(|call| {
            ServerEvent::Tool(Tool {
                call_id: call.id.clone(),
                name: call.name.clone(),
                payload: arguments(&call.arguments),
            })
        });
        let entry = LogEntry::new(events.collect()).with_rounds(self.rounds.to_json());
        log.append(entry).await?;
        Ok(())
    }

    /// Waits until every call of the round has its output in the log; returns the outcome if the turn is stopped first.
    async fn run_calls(
        &mut self,
        log: &mut TurnLog<'_>,
        stop: &mut watch::Receiver<StopSignal>,
    ) -> Result<Option<Outcome>, TurnError> {
        let settings = &self.context.shared.settings;
        let Some(mut outputs) = self.open_calls() else {
            return Ok(None);
        };
        let deadline = tokio::time::sleep(settings.tool_timeout);
        tokio::pin!(deadline);
        while self.rounds.open_calls().next().is_some() {
            tokio::select! {
                biased;
                stopped = stopped(stop) => match stopped {
                    StopSignal::Run => {}
                    StopSignal::Cancel => return Ok(Some(self.cancelled())),
                    StopSignal::Shutdown => return Ok(Some(Outcome::LeftOpen)),
                },
                committed = log.committed(), if log.is_waiting() => committed?,
                (call_id, output) = outputs.next() => self.take_output(&call_id, output, log).await?,
                () = &mut deadline => {
                    let error = format!("no output within {} s", settings.tool_timeout.as_secs_f64());
                    let late: Vec<String> = self.rounds.open_calls().map(|call| call.id.clone()).collect();
                    for call_id in late {
                        self.take_output(&call_id, json!({ "error": error }), log).await?;
                    }
                }
            }
        }
        Ok(None)
    }

    /// Returns the receiver of the open calls' outputs, which a resumed turn has from the start.
    fn open_calls(&self) -> Option<ToolOutputs> {
        let mut opened = self.context.open_outputs.lock().unwrap_or_else(PoisonError::into_inner);
        let context = self.context;
        opened.take().or_else(|| {
            context
                .shared
                .open_calls(&context.conversation, &context.turn_id, &self.rounds)
        })
    }

    /// Logs and stores an output.
    async fn take_output(&mut self, call_id: &str, output: Value, log: &mut TurnLog<'_>) -> Result<(), TurnError> {
        // A handler and a client may both have answered: the first output counts.
        let Some(name) = self.rounds.set_output(call_id, output.clone()) else {
            return Ok(());
        };
        let event = ServerEvent::ToolOutput(ToolOutput {
            call_id: call_id.to_owned(),
            name,
            payload: output,
        });
        let entry = LogEntry::from(event).with_rounds(self.rounds.to_json());
        log.append(entry).await?;
        Ok(())
    }

    /// Ends the step of the last round, if the turn has tools and so steps.
    async fn finish_step(&self, log: &mut TurnLog<'_>) -> Result<(), TurnError> {
        if self.context.tools.is_empty() {
            return Ok(());
        }
        self.finish_step_of(self.rounds.rounds.len() + 1, log).await
    }

    async fn finish_step_of(&self, step: usize, log: &mut TurnLog<'_>) -> Result<(), TurnError> {
        let step = Step {
            step: step as u64,
            title: None,
            payload: None,
        };
        log.append(ServerEvent::StepFinish(step).into()).await?;
        Ok(())
    }

    /// Adds the result of a round to the total.
    fn add(&mut self, finished: Finished) {
        self.total = Some(match self.total.take() {
            None => finished,
            Some(total) => joined(total, finished),
        });
    }

    /// Ends the turn with the total of its rounds.
    fn ended(&mut self) -> Outcome {
        Outcome::Ended(self.total.take().map_or(Ending::CancelledBeforeStart, Ending::Finished))
    }

    /// Ends the turn as cancelled, with the total of its rounds.
    fn cancelled(&mut self) -> Outcome {
        if let Some(total) = &mut self.total {
            total.reason = FinishReason::Cancelled;
        }
        self.ended()
    }
}

impl Shared {
    /// Opens the calls without an output, for handler and clients.
    pub(crate) fn open_calls(&self, conversation: &str, turn_id: &str, rounds: &ToolRounds) -> Option<ToolOutputs> {
        let requests = rounds.open_calls().map(|call| ToolRequest {
            conversation_id: conversation.to_owned(),
            turn_id: turn_id.to_owned(),
            call_id: call.id.clone(),
            name: call.name.clone(),
            arguments: arguments(&call.arguments),
        });
        let handler = self.settings.tool_handler.as_ref();
        self.pending_calls
            .open(requests.collect(), rounds.output_bytes(), handler)
    }
}

/// Joins the results of two rounds: tokens and times add up, and the context is the later one's.
fn joined(earlier: Finished, later: Finished) -> Finished {
    let later_timings = later.timings;
    let mut joined = later;
    joined.answer_ids.splice(0..0, earlier.answer_ids);
    joined.usage.completion_tokens += earlier.usage.completion_tokens;
    joined.usage.evicted_tokens += earlier.usage.evicted_tokens;
    joined.timings.queue_ms = earlier.timings.queue_ms;
    joined.timings.first_token_ms = earlier.timings.first_token_ms;
    joined.timings.prefill_ms += earlier.timings.prefill_ms;
    joined.timings.decode_ms += earlier.timings.decode_ms;
    let decoded = |timings: Timings| timings.tokens_per_second * timings.decode_ms;
    let both = decoded(earlier.timings) + decoded(later_timings);
    joined.timings.tokens_per_second = if both > 0.0 {
        both / joined.timings.decode_ms
    } else {
        0.0
    };
    joined
}

/// Parses a model's arguments as JSON; other text becomes a JSON string.
fn arguments(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
