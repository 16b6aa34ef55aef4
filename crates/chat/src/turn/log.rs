//! Appends a turn's events to the log, with a bounded number of unacknowledged commits, and writes its terminal event.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use conversation_store::{AnswerDelta, AppendEvents, EndTurn, NewEvent, Receipt, StartedFacts, StoreError};
use protocol::{ErrorCode, ErrorEvent, ServerEvent};
use tokio::sync::watch;

use super::ending::Ending;
use super::{TurnContext, stopped};
use crate::ChatError;
use crate::turn_queue::StopSignal;

/// Appends that may wait for their commit: with these, an engine at a thousand tokens a second isn't slowed by commits
/// of 60 ms.
const MAX_IN_FLIGHT: usize = 64;
/// First wait before writing a terminal event is retried; doubled each time.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// Longest such wait, so that room on a full disk is soon noticed.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// One append: events, with changes of the stored turn.
pub(super) struct LogEntry {
    events: Vec<ServerEvent>,
    answer: Option<AnswerDelta>,
    started: Option<StartedFacts>,
    rounds_json: Option<String>,
}

impl LogEntry {
    pub(super) fn new(events: Vec<ServerEvent>) -> Self {
        Self {
            events,
            answer: None,
            started: None,
            rounds_json: None,
        }
    }

    pub(super) fn with_answer(self, answer: AnswerDelta) -> Self {
        Self {
            answer: Some(answer),
            ..self
        }
    }

    pub(super) fn with_start(self, started: StartedFacts) -> Self {
        Self {
            started: Some(started),
            ..self
        }
    }

    pub(super) fn with_rounds(self, rounds_json: String) -> Self {
        Self {
            rounds_json: Some(rounds_json),
            ..self
        }
    }
}

impl From<ServerEvent> for LogEntry {
    fn from(event: ServerEvent) -> Self {
        Self::new(vec![event])
    }
}

/// The log of one turn, as its only writer.
pub(super) struct TurnLog<'a> {
    context: &'a TurnContext,
    receipts: VecDeque<Receipt>,
    /// Token ids that were appended so far.
    ids: Vec<u32>,
    /// True once some engine has started the turn.
    has_started: bool,
}

impl<'a> TurnLog<'a> {
    pub(super) fn new(context: &'a TurnContext) -> Self {
        Self {
            context,
            receipts: VecDeque::new(),
            ids: Vec::new(),
            has_started: context.resumed.is_some(),
        }
    }

    /// Returns true if some engine has started the turn.
    pub(super) fn has_started(&self) -> bool {
        self.has_started
    }

    /// Appends one entry. It is committed when its receipt has come.
    pub(super) async fn append(&mut self, entry: LogEntry) -> Result<(), StoreError> {
        if let Some(delta) = &entry.answer {
            self.ids.extend_from_slice(&delta.ids);
        }
        self.has_started |= entry.started.is_some();
        let append = AppendEvents {
            conversation: self.context.conversation.clone(),
            turn: self.context.key,
            events: entry.events.iter().map(|event| self.logged(event)).collect(),
            answer: entry.answer,
            started: entry.started,
            rounds_json: entry.rounds_json,
        };
        let receipt = self.context.shared.store.enqueue(append).await?;
        self.receipts.push_back(receipt);
        Ok(())
    }

    /// Returns true if some append has no receipt yet.
    pub(super) fn is_waiting(&self) -> bool {
        !self.receipts.is_empty()
    }

    /// Returns true if no more should be appended before [`TurnLog::committed`] returns.
    pub(super) fn is_full(&self) -> bool {
        self.receipts.len() >= MAX_IN_FLIGHT
    }

    /// Waits for the oldest receipt. Cancel safe.
    pub(super) async fn committed(&mut self) -> Result<(), StoreError> {
        if let Some(oldest) = self.receipts.front_mut() {
            let answer = oldest.await;
            self.receipts.pop_front();
            answer?;
        }
        Ok(())
    }

    /// Writes the terminal event. If the disk refuses it, this is retried until the process is about to end; then the
    /// turn is found at the next start.
    pub(super) async fn end(mut self, ending: Ending, stop: &mut watch::Receiver<StopSignal>) {
        let ending = match self.flush().await {
            Err(error) if matches!(ending, Ending::Finished(_)) => Ending::Failed(ChatError::Store(error).event()),
            Err(_) | Ok(()) => ending,
        };
        let metrics = &self.context.shared.metrics;
        let mut end = self.end_turn(&ending);
        let mut wait = FIRST_RETRY;
        loop {
            let written_at = Instant::now();
            match self.context.shared.store.end_turn(end.clone()).await {
                Ok(_) => {
                    metrics.committed(written_at.elapsed());
                    metrics.ended(end.state, ending.finished());
                    return self.trace_end(&end);
                }
                Err(error @ (StoreError::Write { .. } | StoreError::Read { .. })) => {
                    self.report_persist_failure(&error)
                }
                // The conversation was deleted meanwhile, so no end is needed.
                Err(StoreError::Gone { .. }) => return,
                Err(StoreError::IllegalTransition { from, .. }) if !from.is_terminal() => {
                    let fault = ErrorEvent::new(
                        ErrorCode::Internal,
                        "the engine finished an answer that it had not started",
                    );
                    end = self.end_turn(&Ending::Failed(fault));
                    continue;
                }
                Err(error) => return self.warn(&error),
            }
            // A signal that came while the turn ran is not received again below.
            if *stop.borrow() == StopSignal::Shutdown {
                return;
            }
            tokio::select! {
                stopped = stopped(stop) => if stopped == StopSignal::Shutdown { return },
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(LONGEST_RETRY),
            }
        }
    }

    /// Waits until all appends are committed, and writes no terminal event.
    pub(super) async fn leave_open(mut self) {
        if let Err(error) = self.flush().await {
            self.warn(&error);
        }
        let (conversation, turn) = (&self.context.conversation, &self.context.turn_id);
        tracing::info!(conversation, turn, "a turn that waits for a tool is left open");
    }

    /// Waits for all receipts; returns the first error.
    async fn flush(&mut self) -> Result<(), StoreError> {
        let mut first_error = Ok(());
        while self.is_waiting() {
            first_error = first_error.and(self.committed().await);
        }
        first_error
    }

    fn end_turn(&self, ending: &Ending) -> EndTurn {
        let ids = match ending {
            Ending::Finished(finished) if finished.answer_ids != self.ids => Some(finished.answer_ids.clone()),
            Ending::Finished(_) | Ending::CancelledBeforeStart | Ending::Failed(_) | Ending::Interrupted => None,
        };
        EndTurn {
            conversation: self.context.conversation.clone(),
            turn: self.context.key,
            state: ending.state(),
            answer_text: None,
            answer_ids: ids,
            event: self.logged(&ending.event()),
        }
    }

    fn logged(&self, event: &ServerEvent) -> NewEvent {
        NewEvent {
            kind: event.kind().to_owned(),
            at_ms: (self.context.shared.settings.clock)(),
            json: event.fields(),
        }
    }

    fn trace_end(&self, end: &EndTurn) {
        let (conversation, turn, state) = (&self.context.conversation, &self.context.turn_id, end.state.as_str());
        tracing::info!(conversation, turn, state, tokens = self.ids.len(), "a turn has ended");
    }

    /// Reports to the turn's followers how many answers its engine computes before its own.
    pub(super) fn report_position(&self, ahead: usize) {
        let context = self.context;
        context
            .shared
            .queues
            .set_engine_position(&context.conversation, &context.turn_id, ahead);
    }

    /// Reports to the turn's followers that its end can't be written, which the log itself can't show.
    fn report_persist_failure(&self, error: &StoreError) {
        self.warn(error);
        let context = self.context;
        let message = format!("the end of the turn can't be stored yet, and is tried again: {error}");
        let failure = ErrorEvent::new(ErrorCode::Internal, message);
        context
            .shared
            .queues
            .report_persist_failure(&context.conversation, &context.turn_id, failure);
    }

    fn warn(&self, error: &StoreError) {
        tracing::error!(conversation = self.context.conversation, turn = self.context.turn_id, %error, "a turn's end is not stored");
    }
}
