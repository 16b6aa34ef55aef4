//! The thread that owns the model and computes all answers.
//!
//! Requests come in through the [`RequestQueue`], events go out to each request's reader, and caches stay in the
//! [`CachePool`] between turns. [`Scheduler::step`] is the whole engine in one function. The scheduler never waits for
//! a reader: a sequence whose channel is full sits out the step. It sleeps when there is nothing to do. A panic within
//! a sequence ends that sequence and drops its cache; the others continue.

mod admission;
mod batch;
mod cache_pool;
mod queue;
mod queue_position;
mod runner;
mod sequence;
mod thread;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use engine::EngineError;

use crate::conversation::Conversation;
use crate::error::panicked;
use queue::WaitMode;

pub(crate) use admission::Admission;
pub(crate) use batch::Batch;
pub(crate) use cache_pool::CachePool;
#[cfg(test)]
pub(crate) use queue::MAX_WAITING;
pub(crate) use queue::{QueuedRequest, RequestQueue};
pub(crate) use runner::ModelRunner;
pub(crate) use sequence::{Delivery, Sequence};
pub(crate) use thread::SchedulerThread;

/// Sequences that run side by side; further requests wait.
pub(crate) const MAX_RUNNING: usize = 8;

/// Called with the conversation's name before each step; lets a test hold or break it.
#[cfg(test)]
pub(crate) type StepHook = Box<dyn FnMut(&str) + Send>;

/// Called with the conversations' names in the middle of a step.
#[cfg(test)]
pub(crate) type BatchHook = Box<dyn FnMut(&[&str]) + Send>;

/// Limits of memory and of a step's time.
pub(crate) struct SchedulerConfig {
    /// Bytes that the keys and values of all conversations may take together. Running ones count with the most that
    /// they may come to take.
    pub(crate) kv_budget_bytes: usize,
    /// Tokens of prompts that are read in a step.
    pub(crate) prompt_chunk: usize,
    #[cfg(test)]
    pub(crate) before_step: Option<StepHook>,
}

/// Admits requests, runs the model for them, and keeps the caches of idle conversations.
pub(crate) struct Scheduler {
    queue: Arc<RequestQueue>,
    runner: ModelRunner,
    pool: CachePool,
    config: SchedulerConfig,
    running: Vec<Sequence>,
    /// The next sequence to run, which waits for memory.
    blocked: Option<Sequence>,
    /// Steps so far.
    steps: u64,
}

impl Scheduler {
    /// Makes a scheduler with nothing running.
    pub(crate) fn new(queue: Arc<RequestQueue>, runner: ModelRunner, pool: CachePool, config: SchedulerConfig) -> Self {
        Self {
            queue,
            runner,
            pool,
            config,
            running: Vec::new(),
            blocked: None,
            steps: 0,
        }
    }

    /// Runs until the engine is closed.
    pub(crate) fn run(mut self) {
        let mut has_progress = true;
        while self.queue.wait(self.wait_mode(has_progress)) {
            has_progress = self.step();
        }
        self.close();
    }

    /// Takes one step: schedules, executes the model, and updates the sequences from its output. Returns true if any
    /// advanced.
    ///
    /// NOTE: Scheduling knows no prefill phase and no decode phase. Every running sequence has pending tokens: the rest
    /// of its prompt, or the one token that was chosen last. A step reads some of them for all sequences at once; a
    /// sequence whose pending tokens are all read gets its next token. So chunks of prompts and growing answers mix in
    /// one batch, and prefix caching only makes a prompt shorter before its first step.
    fn step(&mut self) -> bool {
        self.drop_forgotten();
        self.admit();
        // A sequence with events that its reader has no room for sits out the step.
        self.deliver();
        #[cfg(test)]
        self.call_hook();

        batch::end_cancelled(&mut self.running);
        self.steps += 1;
        let mut batch = Batch::schedule(&mut self.running, self.steps, self.config.prompt_chunk);
        let has_progress = !batch.is_empty();
        match batch.execute(&mut self.runner) {
            Ok(()) => batch.update_from_output(&mut self.runner),
            Err(error) => batch.execute_one_by_one(error, &mut self.runner),
        }

        self.deliver();
        has_progress
    }

    /// Drops the conversations that callers have forgotten; a running one when its sequence ends.
    fn drop_forgotten(&mut self) {
        let forgotten = self.queue.take_forgotten();
        for name in &forgotten {
            self.pool.discard(name);
            self.running
                .iter_mut()
                .chain(&mut self.blocked)
                .filter(|sequence| sequence.name() == name)
                .for_each(Sequence::forget);
        }
        if !forgotten.is_empty() {
            self.publish_cache_bytes();
        }
    }

    /// Admits as many waiting requests as there is room for, and reports to the others how many are ahead.
    fn admit(&mut self) {
        while self.running.len() < MAX_RUNNING {
            let Some(mut sequence) = self.blocked.take().or_else(|| self.next_sequence()) else {
                break;
            };
            if !self.make_room(sequence.max_cache_bytes()) {
                sequence.report_queue_position(self.running.len());
                self.blocked = Some(sequence);
                break;
            }
            sequence.begin();
            self.running.push(sequence);
        }
        let admitted = self.running.len() + usize::from(self.blocked.is_some());
        self.queue.report_queue_positions(admitted);
    }

    /// Takes the next request that can be admitted. The ones before it that can't be get an error.
    fn next_sequence(&mut self) -> Option<Sequence> {
        loop {
            let is_running = |name: &str| self.running.iter().any(|sequence| sequence.name() == name);
            let request = self.queue.take_request(is_running)?;
            match self.admission(&request) {
                Ok(admission) => return Some(Sequence::new(request, admission, &self.runner, self.steps)),
                Err(error) => {
                    self.pool.release(&request.request.conversation);
                    request.fail(error);
                }
            }
        }
    }

    fn admission(&mut self, request: &QueuedRequest) -> Result<Admission, EngineError> {
        // A sequence that failed within a step may have counted tokens that were never written.
        let running = self.running.iter().filter(|sequence| sequence.is_reusable());
        let running = running.map(Sequence::conversation);
        let admission = catch_unwind(AssertUnwindSafe(|| {
            Admission::find(&request.request, &self.runner, &mut self.pool, running)
        }));
        admission.unwrap_or_else(|panic| Err(panicked(&*panic)))
    }

    /// Evicts idle conversations to make room for a sequence of at most `bytes`. Returns false if the running ones
    /// leave too little; a sequence alone always has room, however small the budget is.
    fn make_room(&mut self, bytes: usize) -> bool {
        let taken = self.max_running_bytes().saturating_add(bytes);
        if !self.running.is_empty() && taken > self.config.kv_budget_bytes {
            return false;
        }
        self.pool.evict_to(self.config.kv_budget_bytes.saturating_sub(taken), 0);
        true
    }

    fn max_running_bytes(&self) -> usize {
        self.running.iter().map(Sequence::max_cache_bytes).sum()
    }

    /// Sends events, and releases the sequences that have ended.
    fn deliver(&mut self) {
        for mut sequence in std::mem::take(&mut self.running) {
            match sequence.deliver(self.pool.index()) {
                Delivery::Sent | Delivery::Full => self.running.push(sequence),
                Delivery::Finished => self.release(sequence, Sequence::into_conversation),
                Delivery::Dropped => self.release(sequence, Sequence::into_conversation_before_turn),
            }
        }
    }

    /// Returns the conversation of a sequence to the pool, as far as `into_conversation` leaves one.
    fn release(&mut self, sequence: Sequence, into_conversation: impl FnOnce(Sequence) -> Option<Conversation>) {
        let (name, is_reusable) = (sequence.name().to_owned(), sequence.is_reusable());
        match into_conversation(sequence) {
            Some(conversation) => self.pool.put(&name, conversation),
            // The cache has overwritten too much to go back; the conversation continues from disk.
            None if is_reusable => self.pool.release(&name),
            // After a failure, it would fail again.
            None => self.pool.discard(&name),
        }
        // The newest stays, however large: otherwise no conversation of that size could ever continue.
        let room = self.config.kv_budget_bytes.saturating_sub(self.max_running_bytes());
        self.pool.evict_to(room, 1);
        self.publish_cache_bytes();
    }

    /// Publishes the bytes of all caches: when a turn ends or is forgotten, not for every token.
    fn publish_cache_bytes(&self) {
        let sequences = self.running.iter().chain(&self.blocked);
        let running: usize = sequences.map(|sequence| sequence.conversation().cache.bytes()).sum();
        self.pool.index().set_memory_bytes(self.pool.bytes() + running);
    }

    fn wait_mode(&self, has_progress: bool) -> WaitMode {
        match (self.running.is_empty() && self.blocked.is_none(), has_progress) {
            (true, _) => WaitMode::Idle,
            (false, true) => WaitMode::None,
            (false, false) => WaitMode::Stalled,
        }
    }

    /// Ends all sequences; readers whose channel is full don't get the error. Conversations that were forgotten before
    /// are removed from disk too.
    fn close(mut self) {
        self.drop_forgotten();
        for mut sequence in self.running.into_iter().chain(self.blocked) {
            sequence.fail(EngineError::Internal {
                reason: "the engine was closed".to_owned(),
            });
            sequence.deliver(self.pool.index());
        }
    }

    #[cfg(test)]
    fn call_hook(&mut self) {
        let Some(hook) = &mut self.config.before_step else {
            return;
        };
        for sequence in self.running.iter_mut().filter(|sequence| sequence.can_step()) {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| hook(sequence.name()))) {
                sequence.fail(panicked(&*panic));
            }
        }
    }
}
