//! One lane a conversation: its turns begin and run first in, first out, while other conversations run beside it.
//!
//! A lane is a task that owns the order; it is there while a turn of its conversation runs or waits. Whoever begins a turn takes
//! a [`Place`] first, which bounds how many there are.

mod told;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::ErrorEvent;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::Instrument;

pub use told::{PersistFailure, QueuePosition};

use told::Told;

use crate::start::{self, Begin};
use crate::turn::{self, Live};
use crate::{ChatError, Shared};

/// Turns of one conversation that may wait behind the running one: a person types no more ahead, and a program learns to wait.
pub(crate) const WAITING_TURNS: usize = 8;

/// What a turn is told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nothing: go on.
    No,
    /// A client stopped it.
    Cancel,
    /// The process is about to end.
    Interrupt,
}

/// All lanes. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Lanes {
    state: Arc<Mutex<State>>,
    live: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    draining: bool,
    lanes: HashMap<String, Lane>,
}

#[derive(Debug)]
struct Lane {
    begins: mpsc::Sender<Begin>,
    /// Places taken.
    load: usize,
    stops: HashMap<String, Told>,
}

/// A turn's place in its lane, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    lanes: Lanes,
    conversation: String,
    turn_id: String,
}

/// A place, with what is needed to use it.
pub(crate) struct Reserved {
    pub place: Place,
    pub stop: watch::Receiver<Stop>,
    pub begins: mpsc::Sender<Begin>,
}

/// A turn that has begun and waits to run.
pub(crate) struct Waiting {
    turn: Running,
    go: oneshot::Sender<()>,
}

/// A turn's task, and what is held until the turn has its terminal event.
struct Running {
    live: Arc<Live>,
    stop: watch::Receiver<Stop>,
    task: JoinHandle<()>,
    _place: Place,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            state: Arc::default(),
            live: watch::Sender::new(0),
        }
    }
}

impl Lanes {
    /// Takes a place in a conversation's lane, and opens the lane when there is none.
    pub(crate) fn reserve(
        &self,
        shared: &Arc<Shared>,
        conversation: &str,
        turn_id: &str,
    ) -> Result<Reserved, ChatError> {
        let mut state = self.lock();
        if state.draining {
            return Err(ChatError::Draining);
        }
        // A lane whose task is gone, with the runtime that ran it, is as good as none.
        state
            .lanes
            .retain(|id, lane| id != conversation || !lane.begins.is_closed());
        let lane = state
            .lanes
            .entry(conversation.to_owned())
            .or_insert_with(|| open(shared, conversation));
        if lane.load > WAITING_TURNS {
            return Err(ChatError::Busy {
                conversation: conversation.to_owned(),
                waiting: lane.load - 1,
            });
        }
        let told = lane.stops.entry(turn_id.to_owned()).or_default();
        if told.places == 0 {
            // Until it has its turn in the lane: who has a place by then is before it.
            told.tell_ahead(|ahead| ahead.in_lane = lane.load);
        }
        lane.load += 1;
        told.places += 1;
        let stop = told.stop.subscribe();
        let begins = lane.begins.clone();
        self.live.send_modify(|live| *live += 1);
        let place = Place {
            lanes: self.clone(),
            conversation: conversation.to_owned(),
            turn_id: turn_id.to_owned(),
        };
        Ok(Reserved { place, stop, begins })
    }

    /// Tells a turn to stop; `false` when it neither runs nor waits.
    pub(crate) fn cancel(&self, conversation: &str, turn_id: &str) -> bool {
        let state = self.lock();
        let told = state.lanes.get(conversation).and_then(|lane| lane.stops.get(turn_id));
        // A turn that was told something, be it to be interrupted, is not told this as well.
        let tell = |stop: &mut Stop| {
            *stop == Stop::No && {
                *stop = Stop::Cancel;
                true
            }
        };
        told.is_some_and(|told| {
            told.stop.send_if_modified(tell);
            true
        })
    }

    /// How many turns are ahead of one that runs or waits.
    pub(crate) fn queue_position(&self, conversation: &str, turn_id: &str) -> Option<QueuePosition> {
        let state = self.lock();
        let told = state.lanes.get(conversation)?.stops.get(turn_id)?;
        Some(QueuePosition {
            ahead: told.ahead.subscribe(),
        })
    }

    /// What keeps a turn that runs or waits from its end; what does so already is told first.
    pub(crate) fn persist_failure(&self, conversation: &str, turn_id: &str) -> Option<PersistFailure> {
        let state = self.lock();
        let mut told = state.lanes.get(conversation)?.stops.get(turn_id)?.trouble.subscribe();
        told.mark_changed();
        Some(PersistFailure { told })
    }

    /// Tells whoever follows a turn why its end can't be written yet, once for each reason.
    pub(crate) fn tell_trouble(&self, conversation: &str, turn_id: &str, trouble: ErrorEvent) {
        let state = self.lock();
        let told = state.lanes.get(conversation).and_then(|lane| lane.stops.get(turn_id));
        if let Some(told) = told {
            told.trouble.send_if_modified(|known| {
                let is_news = known.as_ref() != Some(&trouble);
                *known = Some(trouble);
                is_news
            });
        }
    }

    /// Says how many answers the engine computes before that of a turn that runs.
    pub(crate) fn tell_ahead(&self, conversation: &str, turn_id: &str, ahead: usize) {
        let state = self.lock();
        let told = state.lanes.get(conversation).and_then(|lane| lane.stops.get(turn_id));
        if let Some(told) = told {
            told.tell_ahead(|known| known.in_engine = ahead);
        }
    }

    /// Says in which order the turns of a lane run, the first of which runs already.
    fn tell_order<'a>(&self, conversation: &str, order: impl Iterator<Item = &'a str>) {
        let state = self.lock();
        let Some(lane) = state.lanes.get(conversation) else {
            return;
        };
        for (ahead, turn_id) in order.enumerate() {
            if let Some(told) = lane.stops.get(turn_id) {
                told.tell_ahead(|known| known.in_lane = ahead);
            }
        }
    }

    pub(crate) fn drain(&self) {
        self.lock().draining = true;
    }

    /// Tells every turn that the process is about to end.
    pub(crate) fn interrupt(&self) {
        for told in self.lock().lanes.values().flat_map(|lane| lane.stops.values()) {
            told.stop.send_replace(Stop::Interrupt);
        }
    }

    /// Waits until no turn runs or waits.
    pub(crate) async fn idle(&self) {
        let mut live = self.live.subscribe();
        let _count = live.wait_for(|live| *live == 0).await.expect("the sender is in self");
    }

    pub(crate) fn live(&self) -> usize {
        *self.live.borrow()
    }

    /// How many conversations have a turn that runs or is about to.
    pub(crate) fn busy(&self) -> usize {
        self.lock().lanes.values().filter(|lane| lane.load > 0).count()
    }

    pub(crate) fn watch_live(&self) -> watch::Receiver<usize> {
        self.live.subscribe()
    }

    pub(crate) fn is_live(&self, conversation: &str) -> bool {
        let state = self.lock();
        state.lanes.get(conversation).is_some_and(|lane| lane.load > 0)
    }

    /// Closes a lane in which no place is taken.
    fn retire(&self, conversation: &str) -> bool {
        let mut state = self.lock();
        let unused = state.lanes.get(conversation).is_none_or(|lane| lane.load == 0);
        if unused {
            state.lanes.remove(conversation);
        }
        unused
    }

    /// Every change under the lock is whole before anything can panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.lanes.lock();
        if let Some(lane) = state.lanes.get_mut(&self.conversation) {
            lane.load = lane.load.saturating_sub(1);
            let told = lane.stops.get_mut(&self.turn_id);
            if told.is_none_or(|told| {
                told.places -= 1;
                told.places == 0
            }) {
                lane.stops.remove(&self.turn_id);
            }
        }
        drop(state);
        self.lanes.live.send_modify(|live| *live -= 1);
    }
}

fn open(shared: &Arc<Shared>, conversation: &str) -> Lane {
    // One for each place, so that whoever has a place never waits to use it.
    let (begins, receiver) = mpsc::channel(WAITING_TURNS + 1);
    tokio::spawn(run(Arc::clone(shared), conversation.to_owned(), receiver));
    Lane {
        begins,
        load: 0,
        stops: HashMap::new(),
    }
}

impl Waiting {
    pub(crate) fn new(live: Arc<Live>, place: Place, stop: watch::Receiver<Stop>) -> Self {
        let (go, gone) = oneshot::channel();
        let span = tracing::info_span!(parent: None, "turn", conversation = live.conversation, turn = live.turn_id);
        let task = tokio::spawn(turn::run(Arc::clone(&live), gone, stop.clone()).instrument(span));
        let turn = Running {
            live,
            stop,
            task,
            _place: place,
        };
        Self { turn, go }
    }

    fn start(self) -> Running {
        // A turn that was stopped while it waited is no longer listening.
        let _stopped = self.go.send(());
        self.turn
    }
}

async fn run(shared: Arc<Shared>, conversation: String, mut begins: mpsc::Receiver<Begin>) {
    let mut waiting: VecDeque<Waiting> = VecDeque::new();
    let mut running: Option<Running> = None;
    loop {
        if running.is_none() {
            running = waiting.pop_front().map(Waiting::start);
        }
        if running.is_none() && shared.lanes.retire(&conversation) {
            return;
        }
        let order = running.iter().chain(waiting.iter().map(|waiting| &waiting.turn));
        // One that was stopped while it waited holds up nobody.
        let order = order.filter(|turn| !turn.task.is_finished());
        let order = order.map(|turn| turn.live.turn_id.as_str());
        shared.lanes.tell_order(&conversation, order);
        let ended = async {
            match &mut running {
                Some(running) => (&mut running.task).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(begin) = begins.recv() => waiting.extend(start::begin(&shared, begin).await),
            ended = ended => {
                let mut turn = running.take().expect("only a running turn ends");
                if let Err(error) = ended {
                    turn::fail_after_panic(&turn.live, &error, &mut turn.stop).await;
                }
            }
        }
    }
}
