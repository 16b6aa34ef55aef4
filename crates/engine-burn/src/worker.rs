//! The thread that owns the model and answers everybody in turn.
//!
//! Each round takes one step of the model for all running turns at once: a token of every answer, and a slice of the prompts
//! ([`step`]). Between rounds it takes up new requests and drops what was forgotten. It never waits for a reader: a turn whose
//! channel is full sits out the round. With nothing to do it sleeps. A panic that a turn causes ends that turn and drops its
//! cache; the others go on.

mod admission;
mod conversation;
mod runner;
mod shared;
mod shelf;
mod step;
mod told;
mod turn;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use engine::{EngineError, EngineEvent};

use shared::Patience;

pub(crate) use admission::Place;
pub(crate) use conversation::{Conversation, Ledger, RecentIds};
pub(crate) use runner::ModelRunner;
#[cfg(test)]
pub(crate) use shared::MAX_WAITING;
pub(crate) use shared::{Job, Shared};
pub(crate) use shelf::Shelf;
pub(crate) use step::Step;
pub(crate) use turn::{Delivery, Turn};

/// Turns that run side by side; the others wait.
pub(crate) const MAX_RUNNING: usize = 8;

/// Called with the conversation's name before each step; lets a test hold or break it.
#[cfg(test)]
pub(crate) type StepHook = Box<dyn FnMut(&str) + Send>;

/// Called with the conversations' names in the middle of a step.
#[cfg(test)]
pub(crate) type BatchHook = Box<dyn FnMut(&[&str]) + Send>;

/// How much there may be of what costs memory or time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes that the keys and values of all conversations may take together, of those that run as many as they may come to take.
    pub(crate) kv_budget_bytes: usize,
    /// Tokens of prompts that are read in a step.
    pub(crate) prompt_chunk: usize,
}

/// See the module.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    machine: ModelRunner,
    shelf: Shelf,
    limits: Limits,
    running: Vec<Turn>,
    /// The next turn to begin, once there is memory for it.
    held: Option<Turn>,
    /// Rounds so far.
    rounds: u64,
    #[cfg(test)]
    before_step: Option<StepHook>,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, machine: ModelRunner, shelf: Shelf, limits: Limits) -> Self {
        Self {
            shared,
            machine,
            shelf,
            limits,
            running: Vec::new(),
            held: None,
            rounds: 0,
            #[cfg(test)]
            before_step: None,
        }
    }

    #[cfg(test)]
    pub(crate) fn with_hooks(mut self, before_step: Option<StepHook>, in_step: Option<BatchHook>) -> Self {
        self.before_step = before_step;
        self.machine.in_step = in_step;
        self
    }

    /// Works until the engine is closed.
    pub(crate) fn run(mut self) {
        let mut has_moved = true;
        while self.shared.wait(self.patience(has_moved)) {
            self.drop_forgotten();
            self.admit();
            has_moved = self.round();
        }
        self.close();
    }

    /// Ends what still runs, as far as its readers have room to be told. What was forgotten before goes from disk too.
    fn close(mut self) {
        self.drop_forgotten();
        for mut turn in self.running.into_iter().chain(self.held) {
            turn.fail(EngineError::Internal {
                reason: "the engine was closed".to_owned(),
            });
            turn.deliver(&self.shared);
        }
    }

    fn patience(&self, has_moved: bool) -> Patience {
        match (self.running.is_empty() && self.held.is_none(), has_moved) {
            (true, _) => Patience::Idle,
            (false, true) => Patience::None,
            (false, false) => Patience::Stalled,
        }
    }

    fn drop_forgotten(&mut self) {
        let forgotten = self.shared.take_forgotten();
        for name in &forgotten {
            self.shelf.discard(name);
            self.running
                .iter_mut()
                .chain(&mut self.held)
                .filter(|turn| turn.name() == name)
                .for_each(Turn::forget);
        }
        if !forgotten.is_empty() {
            self.tell_cache_bytes();
        }
    }

    /// Begins as many waiting requests as there is room for, and tells the others how many are ahead.
    fn admit(&mut self) {
        while self.running.len() < MAX_RUNNING {
            let Some(mut turn) = self.held.take().or_else(|| self.next_turn()) else {
                break;
            };
            if !self.make_room(turn.most_cache_bytes()) {
                turn.tell_ahead(self.running.len());
                self.held = Some(turn);
                break;
            }
            turn.begin();
            self.running.push(turn);
        }
        let with_worker = self.running.len() + usize::from(self.held.is_some());
        self.shared.tell_queue(with_worker);
    }

    /// Whether a turn that may come to take so many bytes can begin; if it can, idle conversations have made room for it. One alone
    /// always can, however little the budget is.
    fn make_room(&mut self, bytes: usize) -> bool {
        let running: usize = self.running.iter().map(Turn::most_cache_bytes).sum();
        let taken = running.saturating_add(bytes);
        if !self.running.is_empty() && taken > self.limits.kv_budget_bytes {
            return false;
        }
        self.drop_idle(self.limits.kv_budget_bytes.saturating_sub(taken), 0);
        true
    }

    /// Drops idle conversations until they take at most `max_bytes`, or `least` are left.
    fn drop_idle(&mut self, max_bytes: usize, least: usize) {
        for gone in self.shelf.keep_within(max_bytes, least) {
            self.shared.set_idle(&gone, self.shelf.through(&gone));
        }
    }

    /// The next request that waits, at its place; those that have none are told so.
    fn next_turn(&mut self) -> Option<Turn> {
        loop {
            let is_running = |name: &str| self.running.iter().any(|turn| turn.name() == name);
            let job = self.shared.take_job(is_running)?;
            if let Some(turn) = self.placed(job) {
                return Some(turn);
            }
        }
    }

    fn placed(&mut self, job: Job) -> Option<Turn> {
        let found = catch_unwind(AssertUnwindSafe(|| {
            Place::find(&job.request, &self.machine, &mut self.shelf, &self.running)
        }));
        match found.unwrap_or_else(|panic| Err(panicked(&*panic))) {
            Ok(place) => {
                self.shared.set_running(&job.request.conversation);
                Some(Turn::new(job, place, &self.machine, self.rounds))
            }
            Err(error) => {
                let name = &job.request.conversation;
                self.shared.set_idle(name, self.shelf.through(name));
                // A new answer's channel has room for one event; if its reader is gone, nobody wants to know.
                drop(job.emitter.try_send(EngineEvent::Failed(error)));
                None
            }
        }
    }

    /// Counts what the caches hold: when a turn ends or is forgotten, never for a token.
    fn tell_cache_bytes(&self) {
        let turns = self.running.iter().chain(&self.held);
        let running: usize = turns.map(|turn| turn.conversation().cache.bytes()).sum();
        self.shared.set_cache_bytes(self.shelf.bytes() + running);
    }

    /// One step for all turns that can take one; whether there was any.
    fn round(&mut self) -> bool {
        self.rounds += 1;
        self.deliver();
        #[cfg(test)]
        self.call_hook();
        let has_moved = Step::plan(&mut self.running, self.rounds, self.limits.prompt_chunk).take(&mut self.machine);
        self.deliver();
        has_moved
    }

    /// Sends what waits to be sent, and puts away what is over.
    fn deliver(&mut self) {
        for mut turn in std::mem::take(&mut self.running) {
            match turn.deliver(&self.shared) {
                Delivery::Sent | Delivery::Full => self.running.push(turn),
                Delivery::Finished => self.retire(turn, Turn::into_conversation),
                Delivery::Dropped => self.retire(turn, Turn::into_conversation_before),
            }
        }
    }

    #[cfg(test)]
    fn call_hook(&mut self) {
        let Some(hook) = &mut self.before_step else { return };
        for turn in self.running.iter_mut().filter(|turn| turn.can_step()) {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| hook(turn.name()))) {
                turn.fail(panicked(&*panic));
            }
        }
    }

    /// Puts away what is left of a turn's conversation.
    fn retire(&mut self, turn: Turn, leave: impl FnOnce(Turn) -> Option<Conversation>) {
        let (name, is_sound) = (turn.name().to_owned(), turn.is_sound());
        let Some(conversation) = leave(turn) else {
            // Where only too much was overwritten, the conversation goes on as disk has it; what failed would fail again.
            if !is_sound {
                self.shelf.discard(&name);
            }
            match self.shelf.through(&name) {
                Some(tag) => self.shared.set_cached(&name, tag),
                None => self.shared.set_gone(&name),
            }
            return;
        };
        self.shared.set_cached(&name, conversation.ledger.last);
        for pruned in self.shelf.put(&name, conversation) {
            self.shared.set_idle(&pruned, self.shelf.through(&pruned));
        }
        // The newest stays, however large: without it no conversation of that size could ever go on.
        let running: usize = self.running.iter().map(Turn::most_cache_bytes).sum();
        self.drop_idle(self.limits.kv_budget_bytes.saturating_sub(running), 1);
        self.tell_cache_bytes();
    }
}

fn panicked(panic: &(dyn Any + Send)) -> EngineError {
    let message = panic.downcast_ref::<&str>().map(|message| (*message).to_owned());
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
    EngineError::Internal {
        reason: format!("a step panicked: {}", message.as_deref().unwrap_or("no message")),
    }
}
