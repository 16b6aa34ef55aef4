//! The run of a turn, from its start to its terminal event: generate, call tools, and again, until the model calls
//! none.
//!
//! The parts that this file orders are beside it: [`request`] prepares, [`Answer`] logs what an engine emits,
//! [`TurnLog`] appends, [`end`] writes the terminal event.

use std::sync::Arc;

use engine::{Engine, EngineError, FinishReason, Finished, Generation, ToolCall};
use protocol::{ServerEvent, Step, Tool, ToolOutput};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::answer::{Answer, Completion};
use super::context::{ReadyTurn, TurnContext};
use super::end;
use super::ending::Ending;
use super::error::TurnError;
use super::eviction::EvictionTracker;
use super::log::{LogEntry, TurnLog};
use super::request::{self, PreparedRequest, PromptSource};
use super::totals;
use crate::signals::{StopSignal, TurnSignals};
use crate::tool_rounds::{MAX_CALL_BYTES, MAX_ROUNDS, ToolRounds};
use crate::tools::ToolOutputs;

/// Runs a turn: waits for `go`, answers in rounds, and writes the terminal event.
pub(crate) async fn run(turn: ReadyTurn, signals: TurnSignals, go: oneshot::Receiver<()>) {
    let mut run = TurnRun::new(turn, signals);
    let result = match run.wait_for_go(go).await {
        StopSignal::Run => run.answer().await,
        StopSignal::Cancel => Ok(Outcome::Ended(Ending::CancelledBeforeStart)),
        // A resumed turn has generated nothing since its restart, so it can be resumed again.
        StopSignal::Shutdown if run.log.has_started() => Ok(Outcome::LeftOpen),
        StopSignal::Shutdown => Err(TurnError::Interrupted),
    };
    match result.unwrap_or_else(|error| Outcome::Ended(error.ending())) {
        Outcome::Ended(ending) => end::write(run.log, ending, run.signals).await,
        Outcome::LeftOpen => end::leave_open(run.log).await,
    }
}

/// A turn that runs, with all that changes while it does.
struct TurnRun {
    context: Arc<TurnContext>,
    log: TurnLog,
    signals: TurnSignals,
    rounds: ToolRounds,
    /// The outputs of the open calls; `None` before the calls of a round are opened.
    outputs: Option<ToolOutputs>,
    /// The sum of the rounds' results so far.
    total: Option<Finished>,
}

/// The result of a turn's run.
enum Outcome {
    /// The turn is over.
    Ended(Ending),
    /// The turn waits for a tool, and is resumed after a restart of the process.
    LeftOpen,
}

impl TurnRun {
    fn new(turn: ReadyTurn, signals: TurnSignals) -> Self {
        let ReadyTurn { context, resumed } = turn;
        let log = TurnLog::new(Arc::clone(&context), resumed.is_some());
        let (rounds, outputs) = match resumed {
            Some(resumed) => (resumed.rounds, resumed.outputs),
            None => (ToolRounds::default(), None),
        };
        Self {
            context,
            log,
            signals,
            rounds,
            outputs,
            total: None,
        }
    }

    /// Waits until the queue lets the turn run, or it is stopped before.
    async fn wait_for_go(&mut self, go: oneshot::Receiver<()>) -> StopSignal {
        tokio::select! {
            biased;
            signal = self.signals.stop.changed() => signal,
            // The queue's task ends first only if the runtime does.
            went = go => if went.is_ok() { StopSignal::Run } else { StopSignal::Shutdown },
        }
    }

    /// Answers the turn in rounds: each generates an answer and, if that calls tools, waits for their outputs.
    async fn answer(&mut self) -> Result<Outcome, TurnError> {
        loop {
            // A resumed turn begins with the calls in which it was cut off.
            if !self.rounds.has_open_calls() {
                let Completion::Finished { finished, text, calls } = self.ask_models().await? else {
                    return Ok(self.cancelled());
                };
                let calls_tools = finished.reason != FinishReason::Cancelled && !calls.is_empty();
                let goes_on = calls_tools && self.may_go_on();
                self.add(finished);
                if !goes_on {
                    self.finish_last_step().await?;
                    return Ok(self.ended());
                }
                self.log_calls(text, calls).await?;
            }
            match self.run_calls().await? {
                StopSignal::Run => self.finish_step(self.rounds.count()).await?,
                StopSignal::Cancel => return Ok(self.cancelled()),
                StopSignal::Shutdown => return Ok(Outcome::LeftOpen),
            }
        }
    }

    /// Asks the models in order, until one starts to answer.
    async fn ask_models(&mut self) -> Result<Completion, TurnError> {
        let context = Arc::clone(&self.context);
        let mut first_error: Option<EngineError> = None;
        for (index, model) in context.models.iter().enumerate() {
            let completion = match context.services.models.engine(model) {
                Ok(engine) => self.ask(&engine).await,
                Err(error) => Err(error.into()),
            };
            let error = match completion {
                Err(TurnError::Engine(error)) if !self.log.has_started() => error,
                completion => {
                    self.rounds.model.clone_from(model);
                    return completion;
                }
            };
            let (turn, others) = (&context.turn_id, context.models.len() - index - 1);
            tracing::warn!(turn, model, %error, others, "a model did not answer");
            first_error.get_or_insert(error);
        }
        Err(first_error.map_or(TurnError::EngineGone, TurnError::Engine))
    }

    /// Asks one engine: with what its cache lacks, and with the whole history if the cache is gone.
    async fn ask(&mut self, engine: &Arc<dyn Engine>) -> Result<Completion, TurnError> {
        match self.generate(engine, PromptSource::Cache).await {
            Err(TurnError::Engine(EngineError::NotCached { .. })) => self.generate(engine, PromptSource::History).await,
            completion => completion,
        }
    }

    /// Prepares a request and generates the answer to it.
    async fn generate(&mut self, engine: &Arc<dyn Engine>, source: PromptSource) -> Result<Completion, TurnError> {
        let prepared = request::prepare(&self.context, engine, &self.rounds, source).await?;
        let PreparedRequest { request, truncated } = prepared;
        let eviction = EvictionTracker::new(Arc::clone(&self.context), &request, truncated);
        let step = (!self.context.tools.is_empty()).then_some(self.rounds.count() + 1);
        let generation = engine.generate(request)?;
        self.pump(generation, Answer::new(engine, eviction, step)).await
    }

    /// Moves an engine's events to the log until its answer ends.
    async fn pump(&mut self, mut generation: Generation, mut answer: Answer) -> Result<Completion, TurnError> {
        let canceller = generation.canceller();
        loop {
            tokio::select! {
                biased;
                signal = self.signals.stop.changed() => match signal {
                    StopSignal::Run => {}
                    // The engine still reports what its cache holds.
                    StopSignal::Cancel if answer.has_started() => canceller.cancel(),
                    // The engine may be busy for long, or refuse its cache; a dropped request is undone.
                    StopSignal::Cancel => return Ok(Completion::CancelledBeforeStart),
                    StopSignal::Shutdown => return Err(TurnError::Interrupted),
                },
                committed = self.log.committed(), if self.log.is_waiting() => committed?,
                event = generation.next(), if !self.log.is_full() => {
                    let event = event.ok_or(TurnError::EngineGone)?;
                    if let Some(finished) = answer.take(event, &mut self.log, &self.signals.reporter).await? {
                        return Ok(answer.completion(finished));
                    }
                }
            }
        }
    }

    /// Returns true if there may be another round. The last round offers no tools, so calls in it are ignored.
    fn may_go_on(&self) -> bool {
        let rounds = self.rounds.count() + 1;
        if rounds >= MAX_ROUNDS {
            tracing::warn!(turn = self.context.turn_id, rounds, "a model goes on asking for tools");
        }
        rounds < MAX_ROUNDS
    }

    /// Logs the calls of a round, and stores the rounds so that the calls outlive the process.
    async fn log_calls(&mut self, text: String, calls: Vec<ToolCall>) -> Result<(), TurnError> {
        self.rounds.tools.clone_from(&self.context.tools);
        self.rounds.push(text, calls);
        let bytes = self.rounds.call_bytes();
        if bytes > MAX_CALL_BYTES {
            return Err(TurnError::CallsTooLarge { bytes });
        }
        let events = self.rounds.open_calls().map(|call| {
            ServerEvent::Tool(Tool {
                call_id: call.id.clone(),
                name: call.name.clone(),
                payload: call.arguments_json(),
            })
        });
        let entry = LogEntry::new(events.collect()).with_rounds(self.rounds.to_json());
        Ok(self.log.append(entry).await?)
    }

    /// Waits until every call of the round has its output in the log, which is [`StopSignal::Run`], or until the turn
    /// is stopped.
    async fn run_calls(&mut self) -> Result<StopSignal, TurnError> {
        let services = Arc::clone(&self.context.services);
        let opened = self.outputs.take();
        let opened =
            opened.or_else(|| services.open_calls(&self.context.conversation, &self.context.turn_id, &self.rounds));
        let Some(mut outputs) = opened else {
            return Ok(StopSignal::Run);
        };
        let timeout = services.settings.tool_timeout;
        let deadline = tokio::time::sleep(timeout);
        tokio::pin!(deadline);
        while self.rounds.has_open_calls() {
            tokio::select! {
                biased;
                signal = self.signals.stop.changed() => if signal != StopSignal::Run { return Ok(signal) },
                committed = self.log.committed(), if self.log.is_waiting() => committed?,
                (call_id, output) = outputs.next() => self.log_output(&call_id, output).await?,
                () = &mut deadline => {
                    let error = format!("no output within {} s", timeout.as_secs_f64());
                    let late: Vec<String> = self.rounds.open_calls().map(|call| call.id.clone()).collect();
                    for call_id in late {
                        self.log_output(&call_id, json!({ "error": error })).await?;
                    }
                }
            }
        }
        Ok(StopSignal::Run)
    }

    /// Logs and stores the output of a call.
    async fn log_output(&mut self, call_id: &str, output: Value) -> Result<(), TurnError> {
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
        Ok(self.log.append(entry).await?)
    }

    /// Ends the step of the round without calls, if the turn has tools and so steps.
    async fn finish_last_step(&mut self) -> Result<(), TurnError> {
        if self.context.tools.is_empty() {
            return Ok(());
        }
        self.finish_step(self.rounds.count() + 1).await
    }

    async fn finish_step(&mut self, step: usize) -> Result<(), TurnError> {
        let step = Step {
            step: step as u64,
            title: None,
            payload: None,
        };
        Ok(self.log.append(ServerEvent::StepFinish(step).into()).await?)
    }

    /// Adds the result of a round to the total.
    fn add(&mut self, finished: Finished) {
        self.total = Some(match self.total.take() {
            None => finished,
            Some(total) => totals::joined(total, finished),
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
