//! One queue per conversation: its turns start and run first in, first out, while other conversations run beside it.
//!
//! Start commands go in; their turns run in order. A queue exists while a turn of its conversation runs or waits. It
//! never knows what a turn does.

mod worker;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};

use crate::error::ChatError;
use crate::services::TurnServices;
use crate::signals::{PersistFailure, QueuePosition, StopSender, TurnReporter, TurnSignals};
use crate::start::StartCommand;

use worker::QueueWorker;

/// Turns of one conversation that may wait behind the running one: a person types no more ahead, and a program can
/// retry.
pub(crate) const WAITING_TURNS: usize = 8;

/// The queues of all conversations. Clones share them.
#[derive(Clone)]
pub(crate) struct TurnQueues {
    state: Arc<Mutex<State>>,
    /// Turns that run or wait, over all conversations.
    live_turns: watch::Sender<usize>,
    services: Arc<TurnServices>,
}

#[derive(Default)]
struct State {
    /// True once new turns are refused.
    draining: bool,
    /// By conversation id.
    queues: HashMap<String, TurnQueue>,
}

/// What the registry knows of one conversation's queue.
struct TurnQueue {
    /// The way into the queue's task.
    submissions: mpsc::Sender<Submission>,
    /// Permits given out.
    permits: usize,
    /// By turn id.
    turns: HashMap<String, LiveTurn>,
}

/// The queue's ends of one turn's signals.
#[derive(Default)]
struct LiveTurn {
    stop: StopSender,
    reporter: TurnReporter,
    /// Permits for this turn id. A command that is sent twice at once has two, until one is found to join the other.
    permits: usize,
}

/// The right to start and run one turn, given back when dropped.
struct QueuePermit {
    queues: TurnQueues,
    conversation: String,
    turn_id: String,
}

/// A start command on its way to the queue's task.
struct Submission {
    permit: QueuePermit,
    signals: TurnSignals,
    command: StartCommand,
}

impl TurnQueues {
    /// Creates queues for turns with these services.
    pub(crate) fn new(services: Arc<TurnServices>) -> Self {
        Self {
            state: Arc::default(),
            live_turns: watch::Sender::new(0),
            services,
        }
    }

    /// Submits a turn to its conversation's queue, which is opened if there is none.
    ///
    /// # Errors
    /// [`ChatError::Draining`], and [`ChatError::Busy`] if too many turns of the conversation wait.
    pub(crate) fn submit(&self, command: StartCommand) -> Result<(), ChatError> {
        let (conversation, turn_id) = (command.conversation().to_owned(), command.turn_id().to_owned());
        let (submissions, signals) = self.reserve(&conversation, &turn_id)?;
        let permit = QueuePermit {
            queues: self.clone(),
            conversation,
            turn_id,
        };
        let submission = Submission {
            permit,
            signals,
            command,
        };
        // The channel has room for every permit, so it can only be closed.
        submissions.try_send(submission).map_err(|_| ChatError::Gone)
    }

    /// Counts a permit; returns the way into the queue and the turn's signals.
    fn reserve(&self, conversation: &str, turn_id: &str) -> Result<(mpsc::Sender<Submission>, TurnSignals), ChatError> {
        let mut state = self.lock();
        if state.draining {
            return Err(ChatError::Draining);
        }
        // A queue whose task ended with the runtime that ran it can't be used any more.
        state
            .queues
            .retain(|id, queue| id != conversation || !queue.submissions.is_closed());
        let queue = state
            .queues
            .entry(conversation.to_owned())
            .or_insert_with(|| self.open(conversation));
        if queue.permits > WAITING_TURNS {
            return Err(ChatError::Busy {
                conversation: conversation.to_owned(),
                waiting: queue.permits - 1,
            });
        }
        let turn = queue.turns.entry(turn_id.to_owned()).or_default();
        if turn.permits == 0 {
            // A first estimate, until the queue's task sets the position: all with a permit are ahead.
            turn.reporter.set_queue_position(queue.permits);
        }
        queue.permits += 1;
        turn.permits += 1;
        self.live_turns.send_modify(|count| *count += 1);
        let signals = TurnSignals {
            stop: turn.stop.subscribe(),
            reporter: turn.reporter.clone(),
        };
        Ok((queue.submissions.clone(), signals))
    }

    /// Spawns the task of a conversation's queue.
    fn open(&self, conversation: &str) -> TurnQueue {
        // Room for one submission per permit, so that one with a permit is never refused.
        let (submissions, receiver) = mpsc::channel(WAITING_TURNS + 1);
        let worker = QueueWorker::new(self.clone(), conversation.to_owned(), receiver);
        tokio::spawn(worker.run());
        TurnQueue {
            submissions,
            permits: 0,
            turns: HashMap::new(),
        }
    }

    /// Asks a turn to stop; returns `false` if it neither runs nor waits.
    pub(crate) fn cancel(&self, conversation: &str, turn_id: &str) -> bool {
        self.with_turn(conversation, turn_id, |turn| turn.stop.cancel())
            .is_some()
    }

    /// Returns the position of a turn; `None` if it neither runs nor waits.
    pub(crate) fn queue_position(&self, conversation: &str, turn_id: &str) -> Option<QueuePosition> {
        self.with_turn(conversation, turn_id, |turn| turn.reporter.queue_position())
    }

    /// Returns the failures to write a turn's end; `None` if it neither runs nor waits.
    pub(crate) fn persist_failure(&self, conversation: &str, turn_id: &str) -> Option<PersistFailure> {
        self.with_turn(conversation, turn_id, |turn| turn.reporter.persist_failure())
    }

    /// Refuses new turns from now on.
    pub(crate) fn drain(&self) {
        self.lock().draining = true;
    }

    /// Signals every turn that the process is about to end.
    pub(crate) fn interrupt(&self) {
        for turn in self.lock().queues.values().flat_map(|queue| queue.turns.values()) {
            turn.stop.shut_down();
        }
    }

    /// Waits until no turn runs or waits.
    pub(crate) async fn idle(&self) {
        let mut count = self.live_turns.subscribe();
        let _count = count
            .wait_for(|count| *count == 0)
            .await
            .expect("the sender is in self");
    }

    /// Returns how many turns run or wait.
    pub(crate) fn live_turns(&self) -> usize {
        *self.live_turns.borrow()
    }

    /// Returns the number of turns that run or wait, with its changes.
    pub(crate) fn watch_live_turns(&self) -> watch::Receiver<usize> {
        self.live_turns.subscribe()
    }

    /// Returns how many conversations have a turn that runs or is about to.
    pub(crate) fn busy_conversations(&self) -> usize {
        self.lock().queues.values().filter(|queue| queue.permits > 0).count()
    }

    /// Returns how many conversations have a queue, with its worker.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.lock().queues.len()
    }

    /// Returns true if a turn of the conversation runs or waits.
    pub(crate) fn is_live(&self, conversation: &str) -> bool {
        let state = self.lock();
        state.queues.get(conversation).is_some_and(|queue| queue.permits > 0)
    }

    /// Removes a queue without permits; returns false if it has some.
    fn retire(&self, conversation: &str) -> bool {
        let mut state = self.lock();
        let unused = state.queues.get(conversation).is_none_or(|queue| queue.permits == 0);
        if unused {
            state.queues.remove(conversation);
        }
        unused
    }

    /// Calls `f` with a turn that runs or waits.
    fn with_turn<T>(&self, conversation: &str, turn_id: &str, f: impl FnOnce(&LiveTurn) -> T) -> Option<T> {
        let state = self.lock();
        state.queues.get(conversation)?.turns.get(turn_id).map(f)
    }

    /// Locks the state, also after a panic: every change under the lock is complete before anything can panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for QueuePermit {
    fn drop(&mut self) {
        let mut state = self.queues.lock();
        if let Some(queue) = state.queues.get_mut(&self.conversation) {
            queue.permits = queue.permits.saturating_sub(1);
            let turn = queue.turns.get_mut(&self.turn_id);
            if turn.is_none_or(|turn| {
                turn.permits -= 1;
                turn.permits == 0
            }) {
                queue.turns.remove(&self.turn_id);
            }
        }
        drop(state);
        self.queues.live_turns.send_modify(|count| *count -= 1);
    }
}
