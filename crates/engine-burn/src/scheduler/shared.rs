//! The state that the engine's callers share with the scheduler: waiting requests, and what is cached.
//!
//! One mutex, held only for map operations, so that no caller waits for a step of the model.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::{Emitter, EngineError, Readiness, Request, TurnTag};

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
}

/// The shared state, behind one lock.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Notified when the scheduler has something to do.
    wakeup: Condvar,
    /// Bytes of keys and values in memory.
    cache_bytes: AtomicU64,
}

#[derive(Debug)]
struct State {
    readiness: Readiness,
    is_closing: bool,
    requests: VecDeque<QueuedRequest>,
    /// The turn that each cached conversation ends with; `None` while a turn of it runs.
    conversations: HashMap<String, Option<TurnTag>>,
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

impl Shared {
    pub(crate) fn new() -> Self {
        let state = State {
            readiness: Readiness::Loading,
            is_closing: false,
            requests: VecDeque::new(),
            conversations: HashMap::new(),
            forgotten: HashSet::new(),
        };
        Self {
            state: Mutex::new(state),
            wakeup: Condvar::new(),
            cache_bytes: AtomicU64::new(0),
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

    pub(crate) fn cached_through(&self, conversation: &str) -> Option<TurnTag> {
        self.lock().conversations.get(conversation).copied().flatten()
    }

    pub(crate) fn cache_bytes(&self) -> u64 {
        self.cache_bytes.load(Ordering::Relaxed)
    }

    /// Asks the scheduler to drop a conversation, which counts as not cached from now on.
    pub(crate) fn forget(&self, conversation: &str) {
        let mut state = self.lock();
        if let Some((name, _)) = state.conversations.remove_entry(conversation) {
            state.forgotten.insert(name);
            drop(state);
            self.wakeup.notify_all();
        }
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
        state.conversations.clear();
        state.requests.drain(..).collect()
    }

    /// Sets the turn that the cache of a conversation ends with.
    pub(crate) fn set_cached(&self, conversation: &str, through: TurnTag) {
        self.lock().conversations.insert(conversation.to_owned(), Some(through));
    }

    /// Marks a conversation as one in which a turn runs.
    pub(crate) fn set_running(&self, conversation: &str) {
        self.lock().conversations.insert(conversation.to_owned(), None);
    }

    /// Sets what is cached of a conversation, unless a turn of it runs.
    pub(crate) fn set_idle(&self, conversation: &str, through: Option<TurnTag>) {
        let mut state = self.lock();
        if let Some(None) = state.conversations.get(conversation) {
            return;
        }
        match through {
            Some(_) => drop(state.conversations.insert(conversation.to_owned(), through)),
            None => drop(state.conversations.remove(conversation)),
        }
    }

    /// Marks a conversation as not cached.
    pub(crate) fn set_gone(&self, conversation: &str) {
        self.lock().conversations.remove(conversation);
    }

    /// Sets the bytes of keys and values in memory.
    pub(crate) fn set_cache_bytes(&self, bytes: usize) {
        self.cache_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    /// Returns the conversations that have to be dropped now.
    pub(crate) fn take_forgotten(&self) -> HashSet<String> {
        let mut state = self.lock();
        let forgotten = std::mem::take(&mut state.forgotten);
        // A turn that ended after its conversation was forgotten has published it again.
        state.conversations.retain(|name, _| !forgotten.contains(name));
        forgotten
    }

    /// Takes the oldest request whose conversation isn't running. Requests whose reader is gone are dropped.
    pub(crate) fn take_request(&self, is_running: impl Fn(&str) -> bool) -> Option<QueuedRequest> {
        let mut state = self.lock();
        state.requests.retain(|request| !request.emitter.is_closed());
        let idx = state
            .requests
            .iter()
            .position(|request| !is_running(&request.request.conversation))?;
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
