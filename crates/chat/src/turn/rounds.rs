//! The rounds of one turn: the model answers, its tools run, the model goes on, until it asks for no more.

use std::sync::PoisonError;

use engine::{EngineError, FinishReason, Finished, Timings, ToolCall};
use protocol::{ServerEvent, Step, Tool, ToolOutput};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::answer::{self, Said};
use super::ending::Ending;
use super::log::{Entry, Log};
use super::{Broken, Live, Outcome, stopped};
use crate::Shared;
use crate::lane::Stop;
use crate::rounds::{MAX_ASKED_BYTES, MAX_ROUNDS, Record};
use crate::tools::{Outputs, ToolRequest};

/// Answers a turn, to its end or to where it is left open.
pub(super) async fn answer(live: &Live, log: &mut Log<'_>, stop: &mut watch::Receiver<Stop>) -> Outcome {
    let mut rounds = Rounds {
        live,
        record: live.resumed.clone().unwrap_or_default(),
        total: None,
    };
    loop {
        match rounds.next(log, stop).await {
            Ok(None) => {}
            Ok(Some(outcome)) => return outcome,
            Err(broken) => return Outcome::Ended(broken.ending()),
        }
    }
}

struct Rounds<'a> {
    live: &'a Live,
    record: Record,
    /// The ends of all rounds so far, taken together.
    total: Option<Finished>,
}

impl Rounds<'_> {
    /// One round; `None` when there is another one to come.
    async fn next(&mut self, log: &mut Log<'_>, stop: &mut watch::Receiver<Stop>) -> Result<Option<Outcome>, Broken> {
        if self.record.waiting().next().is_none() {
            let Said::Finished { finished, text, calls } = self.ask(log, stop).await? else {
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
            self.finish_step_of(self.record.rounds.len(), log).await?;
        }
        Ok(outcome)
    }

    /// Asks the model that has begun; at the beginning the first of those that may answer which does.
    async fn ask(&mut self, log: &mut Log<'_>, stop: &mut watch::Receiver<Stop>) -> Result<Said, Broken> {
        let mut first_error: Option<EngineError> = None;
        let models = &self.live.models;
        for (index, model) in models.iter().enumerate() {
            let said = match self.live.shared.models.engine(model) {
                Ok(engine) => answer::ask(self.live, &engine, &self.record, log, stop).await,
                Err(error) => Err(Broken::Engine(error)),
            };
            let error = match said {
                Err(Broken::Engine(error)) if !log.has_started() => error,
                said => {
                    self.record.model.clone_from(model);
                    return said;
                }
            };
            let turn = &self.live.turn_id;
            tracing::warn!(turn, model, %error, others = models.len() - index - 1, "a model did not answer");
            first_error.get_or_insert(error);
        }
        Err(first_error.map_or(Broken::EngineGone, Broken::Engine))
    }

    /// The last round offers no tools; a model that asks for one all the same isn't heard.
    fn may_go_on(&self) -> bool {
        let rounds = self.record.rounds.len() + 1;
        if rounds >= MAX_ROUNDS {
            tracing::warn!(turn = self.live.turn_id, rounds, "a model goes on asking for tools");
        }
        rounds < MAX_ROUNDS
    }

    /// Logs what the model asks for, with the record that outlives the process.
    async fn begin_calls(&mut self, text: String, calls: Vec<ToolCall>, log: &mut Log<'_>) -> Result<(), Broken> {
        self.record.tools.clone_from(&self.live.tools);
        self.record.push(text, calls);
        let bytes = self.record.asked_bytes();
        if bytes > MAX_ASKED_BYTES {
            return Err(Broken::AskedTooMuch { bytes });
        }
        let calls = self.record.waiting();
        let events = calls.map(|call| {
            ServerEvent::Tool(Tool {
                call_id: call.id.clone(),
                name: call.name.clone(),
                payload: arguments(&call.arguments),
            })
        });
        let entry = Entry::new(events.collect()).with_rounds(self.record.to_json());
        log.append(entry).await?;
        Ok(())
    }

    /// Waits until every call of the round has its output, in the log too.
    async fn run_calls(
        &mut self,
        log: &mut Log<'_>,
        stop: &mut watch::Receiver<Stop>,
    ) -> Result<Option<Outcome>, Broken> {
        let settings = &self.live.shared.settings;
        // A client that answers has read the call, and it reads what is committed.
        let Some(mut outputs) = self.open_calls() else {
            return Ok(None);
        };
        let deadline = tokio::time::sleep(settings.tool_timeout);
        tokio::pin!(deadline);
        while self.record.waiting().next().is_some() {
            tokio::select! {
                biased;
                stopped = stopped(stop) => match stopped {
                    Stop::No => {}
                    Stop::Cancel => return Ok(Some(self.cancelled())),
                    Stop::Interrupt => return Ok(Some(Outcome::LeftOpen)),
                },
                committed = log.committed(), if log.is_waiting() => committed?,
                (call_id, output) = outputs.next() => self.take_output(&call_id, output, log).await?,
                () = &mut deadline => {
                    let error = format!("no output within {} s", settings.tool_timeout.as_secs_f64());
                    let late: Vec<String> = self.record.waiting().map(|call| call.id.clone()).collect();
                    for call_id in late {
                        self.take_output(&call_id, json!({ "error": error }), log).await?;
                    }
                }
            }
        }
        Ok(None)
    }

    fn open_calls(&self) -> Option<Outputs> {
        let mut opened = self.live.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.live;
        opened
            .take()
            .or_else(|| live.shared.open_calls(&live.conversation, &live.turn_id, &self.record))
    }

    async fn take_output(&mut self, call_id: &str, output: Value, log: &mut Log<'_>) -> Result<(), Broken> {
        // A handler and a client may both have answered: the first one counts.
        let Some(name) = self.record.answer(call_id, output.clone()) else {
            return Ok(());
        };
        let event = ServerEvent::ToolOutput(ToolOutput {
            call_id: call_id.to_owned(),
            name,
            payload: output,
        });
        let entry = Entry::from(event).with_rounds(self.record.to_json());
        log.append(entry).await?;
        Ok(())
    }

    async fn finish_step(&self, log: &mut Log<'_>) -> Result<(), Broken> {
        if self.live.tools.is_empty() {
            return Ok(());
        }
        self.finish_step_of(self.record.rounds.len() + 1, log).await
    }

    async fn finish_step_of(&self, step: usize, log: &mut Log<'_>) -> Result<(), Broken> {
        let step = Step {
            step: step as u64,
            title: None,
            payload: None,
        };
        log.append(ServerEvent::StepFinish(step).into()).await?;
        Ok(())
    }

    fn add(&mut self, finished: Finished) {
        self.total = Some(match self.total.take() {
            None => finished,
            Some(total) => joined(total, finished),
        });
    }

    fn ended(&mut self) -> Outcome {
        Outcome::Ended(self.total.take().map_or(Ending::Unasked, Ending::Finished))
    }

    fn cancelled(&mut self) -> Outcome {
        if let Some(total) = &mut self.total {
            total.reason = FinishReason::Cancelled;
        }
        self.ended()
    }
}

impl Shared {
    /// Begins to wait for the outputs of a record's open calls.
    pub(crate) fn open_calls(&self, conversation: &str, turn_id: &str, record: &Record) -> Option<Outputs> {
        let requests = record.waiting().map(|call| ToolRequest {
            conversation_id: conversation.to_owned(),
            turn_id: turn_id.to_owned(),
            call_id: call.id.clone(),
            name: call.name.clone(),
            arguments: arguments(&call.arguments),
        });
        let handler = self.settings.tool_handler.as_ref();
        self.tools.open(requests.collect(), record.output_bytes(), handler)
    }
}

/// Two rounds as one: what was generated and how long it took add up, what was in view is the last one's.
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

/// What a model wrote as arguments: JSON where it is, and else its own words.
fn arguments(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
