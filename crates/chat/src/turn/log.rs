//! Appends a turn's events to the log, with a bounded number of unacknowledged commits.

use std::collections::VecDeque;
use std::sync::Arc;

use conversation_store::{AnswerDelta, AppendEvents, EndTurn, NewEvent, Receipt, StartedFacts, StoreError};
use protocol::ServerEvent;

use super::context::TurnContext;
use super::ending::Ending;

/// Appends that may wait for their commit: with these, an engine at a thousand tokens a second isn't slowed by commits
/// of 60 ms.
const MAX_IN_FLIGHT: usize = 64;

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
pub(super) struct TurnLog {
    context: Arc<TurnContext>,
    receipts: VecDeque<Receipt>,
    /// Token ids that were appended so far.
    ids: Vec<u32>,
    /// True once some engine has started the turn.
    has_started: bool,
}

impl TurnLog {
    /// Creates the log of a turn that some engine has started before a restart, or none yet.
    pub(super) fn new(context: Arc<TurnContext>, has_started: bool) -> Self {
        Self {
            context,
            receipts: VecDeque::new(),
            ids: Vec::new(),
            has_started,
        }
    }

    /// Returns the turn.
    pub(super) fn context(&self) -> &TurnContext {
        &self.context
    }

    /// Returns true if some engine has started the turn.
    pub(super) fn has_started(&self) -> bool {
        self.has_started
    }

    /// Returns the number of token ids that were appended.
    pub(super) fn tokens(&self) -> usize {
        self.ids.len()
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
            events: entry.events.iter().map(|event| self.new_event(event)).collect(),
            answer: entry.answer,
            started: entry.started,
            rounds_json: entry.rounds_json,
        };
        let receipt = self.context.services.store.enqueue(append).await?;
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
            let receipt = oldest.await;
            self.receipts.pop_front();
            receipt?;
        }
        Ok(())
    }

    /// Waits for all receipts; returns the first error.
    pub(super) async fn flush(&mut self) -> Result<(), StoreError> {
        let mut first_error = Ok(());
        while self.is_waiting() {
            first_error = first_error.and(self.committed().await);
        }
        first_error
    }

    /// Returns the command that ends the turn.
    pub(super) fn end_turn(&self, ending: &Ending) -> EndTurn {
        // Stored only if the engine's final ids differ from those that it sent with the tokens.
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
            event: self.new_event(&ending.event()),
        }
    }

    fn new_event(&self, event: &ServerEvent) -> NewEvent {
        NewEvent {
            kind: event.kind().to_owned(),
            at_ms: self.context.services.now_ms(),
            json: event.fields(),
        }
    }
}
