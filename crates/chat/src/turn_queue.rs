//! One queue per conversation: its turns start and run first in, first out, while other conversations run beside it.
//!
//! A queue is a task that owns the order; it exists while a turn of its conversation runs or waits. Starting a turn
//! needs a [`QueuePermit`], which bounds how many there are.

mod signals;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::ErrorEvent;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::Instrument;

pub use signals::{PersistFailure, QueuePosition};

use signals::TurnSignals;

use crate::start::{self, StartCommand};
use crate::turn::{self, TurnContext};
use crate::{ChatError, Shared};

/// Turns of one conversation that may wait behind the running one: a person types no more ahead, and a program can
/// retry.
pub(crate) const WAITING_TURNS: usize = 8;

/// Whether a turn should go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// The turn goes on.
    Run,
    /// A client cancelled the turn.
    Cancel,
    /// The process is about to end.
    Shutdown,
}

/// The queues of all conversations. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct TurnQueues {
    state: Arc<Mutex<State>>,
    /// Turns that run or wait, over all conversations.
    live_turns: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    draining: bool,
    /// By conversation id.
    queues: HashMap<String, TurnQueue>,
}

/// What the registry knows of one conversation's queue.
#[derive(Debug)]
struct TurnQueue {
    /// The way into the queue's task.
    starts: mpsc::Sender<StartCommand>,
    /// Permits given out.
    permits: usize,
    /// By turn id.
    signals: HashMap<String, TurnSignals>,
}

/// The right to start and run one turn, given back when dropped.
#[derive(Debug)]
pub(crate) struct QueuePermit {
    queues: TurnQueues,
    conversation: String,
    turn_id: String,
}

/// A permit, with what is needed to use it.
pub(crate) struct Reservation {
    pub permit: QueuePermit,
    pub stop: watch::Receiver<StopSignal>,
    pub starts: mpsc::Sender<StartCommand>,
}

/// A turn that is in the log and waits to run.
pub(crate) struct QueuedTurn {
    turn: RunningTurn,
    go: oneshot::Sender<()>,
}

/// A turn's task, and what is held until the turn has its terminal event.
struct RunningTurn {
    context: Arc<TurnContext>,
    stop: watch::Receiver<StopSignal>,
    task: JoinHandle<()>,
    _permit: QueuePermit,
}

impl Default for TurnQueues {
    fn default() -> Self {
        Self {
            state: Arc::default(),
            live_turns: watch::Sender::new(0),
        }
    }
}

impl TurnQueues {
    /// Takes a permit for a turn, and opens the conversation's queue if there is none.
    ///
    /// # Errors
    /// [`ChatError::Draining`], and [`ChatError::Busy`] when too many turns of the conversation wait.
    pub(crate) fn reserve(
        &self,
        shared: &Arc<Shared>,
        conversation: &str,
        turn_id: &str,
    ) -> Result<Reservation, ChatError> {
        let mut state = self.lock();
        if state.draining {
            return Err(ChatError::Draining);
        }
        // A queue whose task ended with the runtime that ran it can't be used any more.
        state
            .queues
            .retain(|id, queue| id != conversation || !queue.starts.is_closed());
        let queue = state
            .queues
            .entry(conversation.to_owned())
            .or_insert_with(|| open(shared, conversation));
        if queue.permits > WAITING_TURNS {
            return Err(ChatError::Busy {
                conversation: conversation.to_owned(),
                waiting: queue.permits - 1,
            });
        }
        let signals = queue.signals.entry(turn_id.to_owned()).or_default();
        if signals.permits == 0 {
            // A first estimate, until the queue's task sets the position: all with a permit are ahead.
            signals.set_position(|ahead| ahead.in_queue = queue.permits);
        }
        queue.permits += 1;
        signals.permits += 1;
        let stop = signals.stop.subscribe();
        let starts = queue.starts.clone();
        self.live_turns.send_modify(|count| *count += 1);
        let permit = QueuePermit {
            queues: self.clone(),
            conversation: conversation.to_owned(),
            turn_id: turn_id.to_owned(),
        };
        Ok(Reservation { permit, stop, starts })
    }

    /// Asks a turn to stop; returns `false` if it neither runs nor waits.
    pub(crate) fn cancel(&self, conversation: &str, turn_id: &str) -> bool {
        self.with_signals(conversation, turn_id, |signals| {
            // The first signal counts: a shutdown isn't replaced.
            signals.stop.send_if_modified(|stop| {
                let runs = *stop == StopSignal::Run;
                if runs {
                    *stop = StopSignal::Cancel;
                }
                runs
            });
        })
        .is_some()
    }

    /// Returns the position of a turn; `None` if it neither runs nor waits.
    pub(crate) fn queue_position(&self, conversation: &str, turn_id: &str) -> Option<QueuePosition> {
        self.with_signals(conversation, turn_id, |signals| QueuePosition {
            ahead: signals.ahead.subscribe(),
        })
    }

    /// Returns the failures to write a turn's end, beginning with the present one; `None` if it neither runs nor waits.
    pub(crate) fn persist_failure(&self, conversation: &str, turn_id: &str) -> Option<PersistFailure> {
        self.with_signals(conversation, turn_id, |signals| {
            let mut failure = signals.failure.subscribe();
            failure.mark_changed();
            PersistFailure { failure }
        })
    }

    /// Reports to a turn's followers why its end can't be written yet, once for each reason.
    pub(crate) fn report_persist_failure(&self, conversation: &str, turn_id: &str, failure: ErrorEvent) {
        self.with_signals(conversation, turn_id, |signals| {
            signals.failure.send_if_modified(|known| {
                let is_new = known.as_ref() != Some(&failure);
                *known = Some(failure);
                is_new
            });
        });
    }

    /// Sets how many answers the engine computes before that of a running turn.
    pub(crate) fn set_engine_position(&self, conversation: &str, turn_id: &str, ahead: usize) {
        self.with_signals(conversation, turn_id, |signals| {
            signals.set_position(|position| position.in_engine = ahead);
        });
    }

    /// Sets the positions of a conversation's turns, given in the order in which they run, the running one first.
    fn update_positions<'a>(&self, conversation: &str, order: impl Iterator<Item = &'a str>) {
        let state = self.lock();
        let Some(queue) = state.queues.get(conversation) else {
            return;
        };
        for (ahead, turn_id) in order.enumerate() {
            if let Some(signals) = queue.signals.get(turn_id) {
                signals.set_position(|position| position.in_queue = ahead);
            }
        }
    }

    /// Refuses new turns from now on.
    pub(crate) fn drain(&self) {
        self.lock().draining = true;
    }

    /// Signals every turn that the process is about to end.
    pub(crate) fn interrupt(&self) {
        for signals in self.lock().queues.values().flat_map(|queue| queue.signals.values()) {
            signals.stop.send_replace(StopSignal::Shutdown);
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

    /// Returns how many conversations have a turn that runs or is about to.
    pub(crate) fn busy_conversations(&self) -> usize {
        self.lock().queues.values().filter(|queue| queue.permits > 0).count()
    }

    /// Returns the number of turns that run or wait, with its changes.
    pub(crate) fn watch_live_turns(&self) -> watch::Receiver<usize> {
        self.live_turns.subscribe()
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

    /// Calls `f` with the signals of a turn that runs or waits.
    fn with_signals<T>(&self, conversation: &str, turn_id: &str, f: impl FnOnce(&TurnSignals) -> T) -> Option<T> {
        let state = self.lock();
        state.queues.get(conversation)?.signals.get(turn_id).map(f)
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
            let signals = queue.signals.get_mut(&self.turn_id);
            if signals.is_none_or(|signals| {
                signals.permits -= 1;
                signals.permits == 0
            }) {
                queue.signals.remove(&self.turn_id);
            }
        }
        drop(state);
        self.queues.live_turns.send_modify(|count| *count -= 1);
    }
}

fn open(shared: &Arc<Shared>, conversation: &str) -> TurnQueue {
    // Room for one command per permit, so that a command with a permit is never refused.
    let (starts, receiver) = mpsc::channel(WAITING_TURNS + 1);
    tokio::spawn(run(Arc::clone(shared), conversation.to_owned(), receiver));
    TurnQueue {
        starts,
        permits: 0,
        signals: HashMap::new(),
    }
}

impl QueuedTurn {
    /// Spawns the turn's task, which waits for its start or a stop signal.
    pub(crate) fn new(context: Arc<TurnContext>, permit: QueuePermit, stop: watch::Receiver<StopSignal>) -> Self {
        let (go, gone) = oneshot::channel();
        let span =
            tracing::info_span!(parent: None, "turn", conversation = context.conversation, turn = context.turn_id);
        let task = tokio::spawn(turn::run(Arc::clone(&context), gone, stop.clone()).instrument(span));
        let turn = RunningTurn {
            context,
            stop,
            task,
            _permit: permit,
        };
        Self { turn, go }
    }

    fn start(self) -> RunningTurn {
        // A turn that was stopped while it waited no longer listens.
        let _stopped = self.go.send(());
        self.turn
    }
}

/// Runs a conversation's queue until no permit is left.
async fn run(shared: Arc<Shared>, conversation: String, mut starts: mpsc::Receiver<StartCommand>) {
    let mut waiting: VecDeque<QueuedTurn> = VecDeque::new();
    let mut running: Option<RunningTurn> = None;
    loop {
        if running.is_none() {
            running = waiting.pop_front().map(QueuedTurn::start);
        }
        if running.is_none() && shared.queues.retire(&conversation) {
            return;
        }
        let order = running.iter().chain(waiting.iter().map(|waiting| &waiting.turn));
        // A turn that was stopped while it waited delays no other.
        let order = order.filter(|turn| !turn.task.is_finished());
        let order = order.map(|turn| turn.context.turn_id.as_str());
        shared.queues.update_positions(&conversation, order);
        let ended = async {
            match &mut running {
                Some(running) => (&mut running.task).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(command) = starts.recv() => waiting.extend(start::start_queued(&shared, command).await),
            ended = ended => {
                let mut turn = running.take().expect("only a running turn ends");
                if let Err(error) = ended {
                    turn::fail_after_panic(&turn.context, &error, &mut turn.stop).await;
                }
            }
        }
    }
}
