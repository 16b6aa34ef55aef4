//! A turn's pen: writes its events to the log, several commits ahead of their receipts, and its one terminal event.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use conversation_store::{AnswerDelta, AppendEvents, EndTurn, NewEvent, Receipt, StartedFacts, StoreError};
use protocol::{ErrorCode, ErrorEvent, ServerEvent};
use tokio::sync::watch;

use super::ending::Ending;
use super::{Live, stopped};
use crate::ChatError;
use crate::lane::Stop;

/// Appends that may wait for their commit: an engine at a thousand tokens a second doesn't notice a commit of 60 ms.
const IN_FLIGHT: usize = 64;
/// First wait before a terminal event that could not be written is tried again; doubled each time.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// Longest such wait: a disk that has room again is noticed soon enough.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// What is appended at once.
pub(super) struct Entry {
    events: Vec<ServerEvent>,
    answer: Option<AnswerDelta>,
    started: Option<StartedFacts>,
    rounds_json: Option<String>,
}

impl Entry {
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

impl From<ServerEvent> for Entry {
    fn from(event: ServerEvent) -> Self {
        Self::new(vec![event])
    }
}

pub(super) struct Log<'a> {
    live: &'a Live,
    receipts: VecDeque<Receipt>,
    /// Token ids appended so far.
    ids: Vec<u32>,
    /// Whether the turn streams.
    has_started: bool,
}

impl<'a> Log<'a> {
    pub(super) fn new(live: &'a Live) -> Self {
        Self {
            live,
            receipts: VecDeque::new(),
            ids: Vec::new(),
            has_started: live.resumed.is_some(),
        }
    }

    /// Whether some engine has begun to answer the turn.
    pub(super) fn has_started(&self) -> bool {
        self.has_started
    }

    /// Queues one entry; it is on disk when its receipt has come.
    pub(super) async fn append(&mut self, entry: Entry) -> Result<(), StoreError> {
        if let Some(delta) = &entry.answer {
            self.ids.extend_from_slice(&delta.ids);
        }
        self.has_started |= entry.started.is_some();
        let append = AppendEvents {
            conversation: self.live.conversation.clone(),
            turn: self.live.key,
            events: entry.events.iter().map(|event| self.logged(event)).collect(),
            answer: entry.answer,
            started: entry.started,
            rounds_json: entry.rounds_json,
        };
        let receipt = self.live.shared.store.enqueue(append).await?;
        self.receipts.push_back(receipt);
        Ok(())
    }

    /// Whether some append has no receipt yet.
    pub(super) fn is_waiting(&self) -> bool {
        !self.receipts.is_empty()
    }

    /// Whether no more should be appended before [`Log::committed`] returns.
    pub(super) fn is_full(&self) -> bool {
        self.receipts.len() >= IN_FLIGHT
    }

    /// Waits for the oldest receipt. Dropping the future loses nothing.
    pub(super) async fn committed(&mut self) -> Result<(), StoreError> {
        if let Some(oldest) = self.receipts.front_mut() {
            let answer = oldest.await;
            self.receipts.pop_front();
            answer?;
        }
        Ok(())
    }

    /// Writes the terminal event. A disk that can't take it is asked again until it can, or until the process is about to end; then
    /// the turn is found at the next start.
    pub(super) async fn end(mut self, ending: Ending, stop: &mut watch::Receiver<Stop>) {
        let ending = match self.flush().await {
            Err(error) if matches!(ending, Ending::Finished(_)) => Ending::Failed(ChatError::Store(error).event()),
            Err(_) | Ok(()) => ending,
        };
        let figures = &self.live.shared.figures;
        let mut end = self.end_turn(&ending);
        let mut wait = FIRST_RETRY;
        loop {
            let asked = Instant::now();
            match self.live.shared.store.end_turn(end.clone()).await {
                Ok(_) => {
                    figures.committed(asked.elapsed());
                    figures.ended(end.state, ending.finished());
                    return self.tell(&end);
                }
                Err(error @ (StoreError::Write { .. } | StoreError::Read { .. })) => self.tell_trouble(&error),
                // The conversation was deleted meanwhile: nobody waits for an end.
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
            // What it was told while it still ran is not told again.
            if *stop.borrow() == Stop::Interrupt {
                return;
            }
            tokio::select! {
                stopped = stopped(stop) => if stopped == Stop::Interrupt { return },
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(LONGEST_RETRY),
            }
        }
    }

    /// Sees to it that what was appended is on disk, and writes no end.
    pub(super) async fn leave_open(mut self) {
        if let Err(error) = self.flush().await {
            self.warn(&error);
        }
        let (conversation, turn) = (&self.live.conversation, &self.live.turn_id);
        tracing::info!(conversation, turn, "a turn that waits for a tool is left open");
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let mut first_fault = Ok(());
        while self.is_waiting() {
            first_fault = first_fault.and(self.committed().await);
        }
        first_fault
    }

    fn end_turn(&self, ending: &Ending) -> EndTurn {
        let ids = match ending {
            Ending::Finished(finished) if finished.answer_ids != self.ids => Some(finished.answer_ids.clone()),
            Ending::Finished(_) | Ending::Unasked | Ending::Failed(_) | Ending::Interrupted => None,
        };
        EndTurn {
            conversation: self.live.conversation.clone(),
            turn: self.live.key,
            state: ending.state(),
            answer_text: None,
            answer_ids: ids,
            event: self.logged(&ending.event()),
        }
    }

    fn logged(&self, event: &ServerEvent) -> NewEvent {
        NewEvent {
            kind: event.kind().to_owned(),
            at_ms: (self.live.shared.settings.clock)(),
            json: event.fields(),
        }
    }

    fn tell(&self, end: &EndTurn) {
        let (conversation, turn, state) = (&self.live.conversation, &self.live.turn_id, end.state.as_str());
        tracing::info!(conversation, turn, state, tokens = self.ids.len(), "a turn has ended");
    }

    /// Tells whoever follows the turn how many answers its engine computes before its own.
    pub(crate) fn tell_ahead(&self, ahead: usize) {
        let live = self.live;
        live.shared.lanes.tell_ahead(&live.conversation, &live.turn_id, ahead);
    }

    /// The turn is over, and no reader can know: the log, which would say so, can't be written.
    fn tell_trouble(&self, error: &StoreError) {
        self.warn(error);
        let live = self.live;
        let message = format!("the end of the turn can't be stored yet, and is tried again: {error}");
        let trouble = ErrorEvent::new(ErrorCode::Internal, message);
        live.shared
            .lanes
            .tell_trouble(&live.conversation, &live.turn_id, trouble);
    }

    fn warn(&self, error: &StoreError) {
        tracing::error!(conversation = self.live.conversation, turn = self.live.turn_id, %error, "a turn's end is not stored");
    }
}
