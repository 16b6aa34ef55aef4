//! The queue of requests, from the engine's callers to the scheduler. Bounded; no caller waits for a step of the model.

use std::collections::{HashSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::{Emitter, EngineError, EngineEvent, Readiness, Request};

use super::queue_position::QueuePosition;

/// Requests that may wait: at a few seconds an answer, a later one would wait for minutes.
pub(crate) const MAX_WAITING: usize = 64;

/// How long the scheduler sleeps when every reader is behind. A reader that caught up waits at most this long for its
/// next token, and waking up this often costs nothing.
const STALLED_WAIT: Duration = Duration::from_millis(5);

/// A request that waits to be admitted.
#[derive(Debug)]
pub(crate) struct QueuedRequest {
    pub(crate) request: Request,
    pub(crate) emitter: Emitter,
    pub(crate) submitted_at: Instant,
    pub(crate) position: QueuePosition,
}

impl QueuedRequest {
    /// Makes a request that is submitted now.
    pub(crate) fn new(request: Request, emitter: Emitter) -> Self {
        Self {
            request,
            emitter,
            submitted_at: Instant::now(),
            position: QueuePosition::default(),
        }
    }

    /// Answers the request with an error.
    pub(crate) fn fail(self, error: EngineError) {
        // The channel of a new answer has room for one event; if its reader is gone, the error is of no use.
        drop(self.emitter.try_send(EngineEvent::Failed(error)));
    }
}

/// What the engine's callers ask of the scheduler, behind one lock that is held for moments only.
#[derive(Debug)]
pub(crate) struct RequestQueue {
    state: Mutex<State>,
    /// Notified when the scheduler has something to do.
    wakeup: Condvar,
}

#[derive(Debug)]
struct State {
    readiness: Readiness,
    is_closing: bool,
    requests: VecDeque<QueuedRequest>,
    /// Conversations that the scheduler has to drop; at most those that it has.
    forgotten: HashSet<String>,
}

/// How long the scheduler may wait for something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitMode {
    /// Not at all: sequences are running.
    None,
    /// For a moment: all that run wait for their readers.
    Stalled,
    /// Until it is woken: nothing runs.
    Idle,
}

impl RequestQueue {
    /// Makes the empty queue of a model that is loading.
    pub(crate) fn new() -> Self {
        let state = State {
            readiness: Readiness::Loading,
            is_closing: false,
            requests: VecDeque::new(),
            forgotten: HashSet::new(),
        };
        Self {
            state: Mutex::new(state),
            wakeup: Condvar::new(),
        }
    }

    pub(crate) fn readiness(&self) -> Readiness {
        self.lock().readiness.clone()
    }

    /// Queues a request.
    ///
    /// # Errors
    /// The queue is full, or the model could not be loaded.
    pub(crate) fn submit(&self, request: QueuedRequest) -> Result<(), SubmitError> {
        let mut state = self.lock();
        if let Readiness::Failed(reason) = &state.readiness {
            return Err(SubmitError::Failed(reason.clone()));
        }
        if state.requests.len() >= MAX_WAITING {
            state.requests.retain(|request| !request.emitter.is_closed());
        }
        let waiting = state.requests.len();
        if waiting >= MAX_WAITING {
            return Err(SubmitError::Busy { waiting });
        }
        state.requests.push_back(request);
        drop(state);
        self.wakeup.notify_all();
        Ok(())
    }

    /// Asks the scheduler to drop a conversation that it has.
    pub(crate) fn forget(&self, conversation: &str) {
        self.lock().forgotten.insert(conversation.to_owned());
        self.wakeup.notify_all();
    }

    /// Ends the scheduler before its next step.
    pub(crate) fn close(&self) {
        self.lock().is_closing = true;
        self.wakeup.notify_all();
    }

    // What follows is called by the scheduler's thread.

    /// Marks the model as loaded.
    pub(crate) fn set_ready(&self) {
        self.lock().readiness = Readiness::Ready;
    }

    /// Marks the engine as failed, and returns the requests that waited for it.
    pub(crate) fn set_failed(&self, reason: String) -> Vec<QueuedRequest> {
        let mut state = self.lock();
        state.readiness = Readiness::Failed(reason);
        state.requests.drain(..).collect()
    }

    /// Returns the conversations that have to be dropped now.
    pub(crate) fn take_forgotten(&self) -> HashSet<String> {
        std::mem::take(&mut self.lock().forgotten)
    }

    /// Takes the oldest request whose conversation is neither running nor to be dropped first. Requests whose reader is
    /// gone are dropped.
    pub(crate) fn take_request(&self, is_running: impl Fn(&str) -> bool) -> Option<QueuedRequest> {
        let mut state = self.lock();
        state.requests.retain(|request| !request.emitter.is_closed());
        let idx = state.requests.iter().position(|request| {
            let name = &request.request.conversation;
            !is_running(name) && !state.forgotten.contains(name)
        })?;
        state.requests.remove(idx)
    }

    /// Reports to the readers of all waiting requests how many are ahead of theirs: those before it in the queue, and
    /// the `admitted` ones.
    pub(crate) fn report_queue_positions(&self, admitted: usize) {
        for (waiting, request) in self.lock().requests.iter_mut().enumerate() {
            request.position.report(&request.emitter, admitted + waiting);
        }
    }

    /// Waits for something to do, at most as `mode` allows. Returns false when the engine is closing.
    pub(crate) fn wait(&self, mode: WaitMode) -> bool {
        let state = self.lock();
        let has_nothing =
            |state: &mut State| state.requests.is_empty() && state.forgotten.is_empty() && !state.is_closing;
        let state = match mode {
            WaitMode::None => state,
            WaitMode::Stalled if state.is_closing => state,
            // Not until there is a request: one that waits for a running conversation would end every wait at once.
            WaitMode::Stalled => {
                self.wakeup
                    .wait_timeout(state, STALLED_WAIT)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
            WaitMode::Idle => self
                .wakeup
                .wait_while(state, has_nothing)
                .unwrap_or_else(PoisonError::into_inner),
        };
        !state.is_closing
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything that could panic, so a poisoned state is still consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a request is not accepted.
#[derive(Debug)]
pub(crate) enum SubmitError {
    /// The queue is full.
    Busy { waiting: usize },
    /// The model isn't available, for the reason given.
    Failed(String),
}

impl SubmitError {
    /// Converts it to the error that callers see.
    pub(crate) fn into_engine_error(self, model: &str) -> EngineError {
        match self {
            Self::Busy { waiting } => EngineError::Busy { waiting },
            Self::Failed(reason) => EngineError::ModelUnavailable {
                model: model.to_owned(),
                reason,
            },
        }
    }
}
