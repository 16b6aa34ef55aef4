//! A fork-join pool for very short jobs: a fork and a join of a token's hundred small products take a microsecond.
//!
//! Items and a function go in; when the call returns, the function has run once for each item, on the caller's thread
//! and on whichever workers were free. A worker that is late is not waited for: the others do what it would have done.
//! Between jobs the workers spin for up to [`SPIN`] and then sleep, so that an idle model uses no processor. What is
//! computed must not depend on which thread does it; nothing here decides that.
#![expect(
    unsafe_code,
    reason = "the compiler can't know that threads which outlive a job don't use its borrows any longer"
)]

use std::any::Any;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a thread polls for work before it sleeps: the operations between two products of a token take less, and
/// waking up takes about as long.
const SPIN: Duration = Duration::from_micros(50);

/// Polls between two reads of the clock, which costs as much as several of them.
const POLLS_PER_CLOCK: u32 = 32;

/// Parts of a job for each thread at the most: a thread that the system takes away for a while holds up no more than a
/// quarter of its share.
const PARTS_PER_THREAD: usize = 4;

/// What every thread runs once for each job.
type Job = &'static (dyn Fn() + Sync);

/// A caller and the workers that help it. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Threads {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held by the one caller whose job is running.
    caller: Mutex<()>,
}

/// What the caller and its workers share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Counts jobs, so that a worker sees a new one without the lock; changed only under it.
    epoch: AtomicUsize,
    /// Workers inside the job; changed only under the lock.
    active: AtomicUsize,
    /// Wakes workers for a new job or the end.
    work: Condvar,
    /// Wakes the caller once no worker is active.
    done: Condvar,
}

#[derive(Default)]
struct State {
    /// Set from the moment when workers may begin it until its caller needs no more of them.
    job: Option<Job>,
    /// Workers that sleep.
    parked: usize,
    caller_parked: bool,
    /// The first panic of a worker within the job.
    panic: Option<Box<dyn Any + Send>>,
    stop: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl Threads {
    /// Starts `n_threads` in all, the caller's own among them.
    ///
    /// # Errors
    /// The system's error when it gives no more threads.
    pub(crate) fn new(n_threads: usize) -> io::Result<Self> {
        let mut threads = Self {
            shared: Arc::default(),
            workers: Vec::new(),
            caller: Mutex::default(),
        };
        for idx in 1..n_threads {
            let shared = Arc::clone(&threads.shared);
            let worker = thread::Builder::new().name(format!("product-{idx}"));
            threads.workers.push(worker.spawn(move || shared.work())?);
        }
        Ok(threads)
    }

    /// The caller's thread and its workers.
    pub(crate) fn n_threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Into how many parts a job is worth cutting at the most.
    pub(crate) fn max_parts(&self) -> usize {
        self.n_threads() * PARTS_PER_THREAD
    }

    /// Runs `task` for every item. A task must not call this itself.
    ///
    /// Items are taken one at a time under a lock, so getting the next one should be cheap.
    ///
    /// # Panics
    /// If a task does, once all that had begun have ended; items may be left.
    pub(crate) fn for_each<I>(&self, items: I, task: impl Fn(I::Item) + Sync)
    where
        I: IntoIterator<IntoIter: ExactSizeIterator + Send>,
    {
        let items = items.into_iter();
        if self.workers.is_empty() || items.len() < 2 {
            items.for_each(task);
            return;
        }
        let items = Mutex::new(items);
        let next = || lock(&items).next();
        self.fork_join(&|| {
            while let Some(item) = next() {
                task(item);
            }
        });
    }

    /// Runs `job` on this thread and on the workers that come before it is done here.
    fn fork_join(&self, job: &(dyn Fn() + Sync)) {
        let caller = lock(&self.caller);
        // SAFETY: workers find the job in `state.job` alone, count themselves into `active` under the lock under which
        // they find it, and use it until they count themselves out. `join` takes it out under the same lock and returns
        // when `active` is 0, and it is always reached: a panic of the job is caught. So no worker has the job when
        // this borrow ends.
        let lasting = unsafe { mem::transmute::<&(dyn Fn() + Sync), Job>(job) };
        self.shared.fork(lasting);
        let own = catch_unwind(AssertUnwindSafe(job));
        let of_workers = self.shared.join();
        drop(caller);
        if let Some(panic) = own.err().or(of_workers) {
            resume_unwind(panic);
        }
    }

    /// Workers that sleep.
    #[cfg(test)]
    pub(crate) fn n_parked(&self) -> usize {
        lock(&self.shared.state).parked
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        state.stop = true;
        self.shared.epoch.fetch_add(1, Ordering::Release);
        drop(state);
        self.shared.work.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of its jobs, so its result is always `Ok`.
            drop(worker.join());
        }
    }
}

impl Shared {
    /// Offers a job to the workers.
    fn fork(&self, job: Job) {
        let mut state = lock(&self.state);
        state.job = Some(job);
        self.epoch.fetch_add(1, Ordering::Release);
        if state.parked > 0 {
            self.work.notify_all();
        }
    }

    /// Lets no other worker begin the job, waits for those that have, and returns the first panic of theirs.
    fn join(&self) -> Option<Box<dyn Any + Send>> {
        lock(&self.state).job = None;
        let is_done = || self.active.load(Ordering::Acquire) == 0;
        if !spin_until(is_done) {
            let mut state = lock(&self.state);
            state.caller_parked = true;
            while !is_done() {
                state = wait(&self.done, state);
            }
            state.caller_parked = false;
        }
        lock(&self.state).panic.take()
    }

    /// Takes part in one job after the other; the body of a worker.
    fn work(&self) {
        let mut seen = 0;
        loop {
            let state = self.next_epoch(seen);
            if state.stop {
                return;
            }
            seen = self.epoch.load(Ordering::Acquire);
            let Some(job) = state.job else { continue };
            self.active.fetch_add(1, Ordering::Relaxed);
            drop(state);
            let result = catch_unwind(AssertUnwindSafe(job));
            self.leave(result.err());
        }
    }

    /// Waits for the epoch after `seen`.
    fn next_epoch(&self, seen: usize) -> MutexGuard<'_, State> {
        let has_come = || self.epoch.load(Ordering::Acquire) != seen;
        let found = spin_until(has_come);
        let mut state = lock(&self.state);
        if !found {
            state.parked += 1;
            while !has_come() {
                state = wait(&self.work, state);
            }
            state.parked -= 1;
        }
        state
    }

    /// Counts a worker out of the job, with its panic if it had one.
    fn leave(&self, panic: Option<Box<dyn Any + Send>>) {
        let mut state = lock(&self.state);
        // What isn't kept is dropped when this thread is no longer waited for, since dropping it may panic as well.
        let not_kept = if state.panic.is_none() {
            mem::replace(&mut state.panic, panic)
        } else {
            panic
        };
        let left = self.active.fetch_sub(1, Ordering::Release) - 1;
        if left == 0 && state.caller_parked {
            self.done.notify_one();
        }
        drop(state);
        drop(not_kept);
    }
}

/// Polls for up to [`SPIN`]. Returns true once the condition holds.
fn spin_until(holds: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    loop {
        for _ in 0..POLLS_PER_CLOCK {
            if holds() {
                return true;
            }
            std::hint::spin_loop();
        }
        if start.elapsed() > SPIN {
            return false;
        }
    }
}

/// No lock is held while a job runs, so a panic leaves nothing half done behind one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}
