//! What the engine's callers and its worker thread share: requests that wait, and what the worker is known to have.
//!
//! One mutex, never held for longer than a few map operations, so that no caller ever waits for a step of the model.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::{Emitter, EngineError, Readiness, Request, TurnTag};

use super::told::Told;

/// Requests that may wait: at a few seconds an answer, whoever came later would wait for minutes.
pub(crate) const MAX_WAITING: usize = 64;

/// How long the worker sleeps when every reader is behind. A reader that caught up waits this long at most for its next
/// token, and looking this often costs nothing.
const STALLED_WAIT: Duration = Duration::from_millis(5);

/// A request that waits for its turn.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) request: Request,
    pub(crate) emitter: Emitter,
    pub(crate) asked_at: Instant,
    pub(crate) told: Told,
}

impl Job {
    /// A request that comes in now.
    pub(crate) fn new(request: Request, emitter: Emitter) -> Self {
        Self {
            request,
            emitter,
            asked_at: Instant::now(),
            told: Told::default(),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Rung when there is something to do for the worker.
    bell: Condvar,
    /// Bytes of keys and values that the worker holds.
    cache_bytes: AtomicU64,
}

#[derive(Debug)]
struct State {
    readiness: Readiness,
    is_closing: bool,
    jobs: VecDeque<Job>,
    /// Every conversation that the worker has; `None` while a turn of it runs.
    conversations: HashMap<String, Option<TurnTag>>,
    /// Conversations to be dropped; at most those that the worker has.
    forgotten: HashSet<String>,
}

/// How long the worker may wait for something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Turns are running: not at all.
    None,
    /// All that runs waits for its reader.
    Stalled,
    /// Nothing runs.
    Idle,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let state = State {
            readiness: Readiness::Loading,
            is_closing: false,
            jobs: VecDeque::new(),
            conversations: HashMap::new(),
            forgotten: HashSet::new(),
        };
        Self {
            state: Mutex::new(state),
            bell: Condvar::new(),
            cache_bytes: AtomicU64::new(0),
        }
    }

    pub(crate) fn readiness(&self) -> Readiness {
        self.lock().readiness.clone()
    }

    /// Leaves a request for the worker; gives the reason when the model never came up.
    pub(crate) fn submit(&self, job: Job) -> Result<(), SubmitError> {
        let mut state = self.lock();
        if let Readiness::Failed(reason) = &state.readiness {
            return Err(SubmitError::Failed(reason.clone()));
        }
        if state.jobs.len() >= MAX_WAITING {
            state.jobs.retain(|job| !job.emitter.is_closed());
        }
        let waiting = state.jobs.len();
        if waiting >= MAX_WAITING {
            return Err(SubmitError::Busy { waiting });
        }
        state.jobs.push_back(job);
        drop(state);
        self.bell.notify_all();
        Ok(())
    }

    pub(crate) fn cached_through(&self, conversation: &str) -> Option<TurnTag> {
        self.lock().conversations.get(conversation).copied().flatten()
    }

    pub(crate) fn cache_bytes(&self) -> u64 {
        self.cache_bytes.load(Ordering::Relaxed)
    }

    /// Asks the worker to drop a conversation; from now on nothing is cached of it.
    pub(crate) fn forget(&self, conversation: &str) {
        let mut state = self.lock();
        if let Some((name, _)) = state.conversations.remove_entry(conversation) {
            state.forgotten.insert(name);
            drop(state);
            self.bell.notify_all();
        }
    }

    /// Ends the worker before its next step.
    pub(crate) fn close(&self) {
        self.lock().is_closing = true;
        self.bell.notify_all();
    }

    // The worker's side.

    /// Says that the model is there.
    pub(crate) fn set_ready(&self) {
        self.lock().readiness = Readiness::Ready;
    }

    /// Says that the model will never answer, and gives back the requests that waited for it.
    pub(crate) fn set_failed(&self, reason: String) -> Vec<Job> {
        let mut state = self.lock();
        state.readiness = Readiness::Failed(reason);
        state.conversations.clear();
        state.jobs.drain(..).collect()
    }

    /// Says what the cache of a conversation ends with.
    pub(crate) fn set_cached(&self, conversation: &str, through: TurnTag) {
        self.lock().conversations.insert(conversation.to_owned(), Some(through));
    }

    /// Says that a turn of a conversation runs.
    pub(crate) fn set_running(&self, conversation: &str) {
        self.lock().conversations.insert(conversation.to_owned(), None);
    }

    /// Says what there is of a conversation in which no turn runs; one in which a turn does stays as it is.
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

    /// Says that nothing of a conversation is cached.
    pub(crate) fn set_gone(&self, conversation: &str) {
        self.lock().conversations.remove(conversation);
    }

    /// Says how many bytes of keys and values the worker holds.
    pub(crate) fn set_cache_bytes(&self, bytes: usize) {
        self.cache_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    /// The conversations to be dropped now.
    pub(crate) fn take_forgotten(&self) -> HashSet<String> {
        let mut state = self.lock();
        let forgotten = std::mem::take(&mut state.forgotten);
        // A turn that ended after it was forgotten has said that it is cached.
        state.conversations.retain(|name, _| !forgotten.contains(name));
        forgotten
    }

    /// The oldest request whose conversation isn't running. Requests whose reader is gone are dropped.
    pub(crate) fn take_job(&self, is_running: impl Fn(&str) -> bool) -> Option<Job> {
        let mut state = self.lock();
        state.jobs.retain(|job| !job.emitter.is_closed());
        let idx = state
            .jobs
            .iter()
            .position(|job| !is_running(&job.request.conversation))?;
        state.jobs.remove(idx)
    }

    /// Tells those who wait how many are ahead of them, of which so many are with the worker.
    pub(crate) fn tell_queue(&self, with_worker: usize) {
        for (waiting, job) in self.lock().jobs.iter_mut().enumerate() {
            job.told.tell(&job.emitter, with_worker + waiting);
        }
    }

    /// Waits for something to do, as long as `patience` lets it; `false` when the engine is closing.
    pub(crate) fn wait(&self, patience: Patience) -> bool {
        let state = self.lock();
        let has_nothing = |state: &mut State| state.jobs.is_empty() && state.forgotten.is_empty() && !state.is_closing;
        let state = match patience {
            Patience::None => state,
            Patience::Stalled if state.is_closing => state,
            // Not for a request: one that waits for a running conversation would end every wait at once.
            Patience::Stalled => {
                self.bell
                    .wait_timeout(state, STALLED_WAIT)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
            Patience::Idle => self
                .bell
                .wait_while(state, has_nothing)
                .unwrap_or_else(PoisonError::into_inner),
        };
        !state.is_closing
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything that could panic, so a poisoned state is still true.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a request is not accepted.
#[derive(Debug)]
pub(crate) enum SubmitError {
    /// Too many wait.
    Busy { waiting: usize },
    /// The model isn't there, for the reason given.
    Failed(String),
}

impl SubmitError {
    /// As callers see it.
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
