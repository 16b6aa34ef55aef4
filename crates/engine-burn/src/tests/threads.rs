//! Forks and joins: every item runs once, also when workers are late, asleep or panic.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::threads::Threads;

/// Far more than workers need to fall asleep on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

fn threads(n_threads: usize) -> Threads {
    Threads::new(n_threads).expect("the system has some threads")
}

/// Waits until so many workers sleep.
#[track_caller]
fn wait_for_parked(threads: &Threads, n_parked: usize) {
    let start = Instant::now();
    while threads.n_parked() < n_parked {
        assert!(start.elapsed() < DEADLINE, "{n_parked} workers don't fall asleep");
        thread::yield_now();
    }
}

#[track_caller]
fn check_every_item_once(threads: &Threads, n_items: usize) {
    let mut values = vec![0; n_items];
    let items: Vec<&mut usize> = values.iter_mut().collect();
    threads.for_each(items, |value| *value += 1);
    assert_eq!(values, vec![1; n_items]);
}

#[test]
fn every_item_is_done_once_with_any_number_of_threads() {
    for n_threads in [1, 2, 3, 8] {
        let threads = threads(n_threads);
        assert_eq!(threads.n_threads(), n_threads);
        for n_items in (0..40).chain([1_000]) {
            check_every_item_once(&threads, n_items);
        }
    }
}

#[test]
fn all_threads_work_at_once() {
    let threads = threads(3);
    let all_are_here = Barrier::new(3);
    for _ in 0..100 {
        let ids = Mutex::new(HashSet::new());
        threads.for_each(vec![(); 3], |()| {
            all_are_here.wait();
            ids.lock().expect("nothing panics").insert(thread::current().id());
        });
        assert_eq!(ids.into_inner().expect("nothing panics").len(), 3);
    }
}

#[test]
fn a_single_thread_is_the_callers_own() {
    let me = thread::current().id();
    threads(1).for_each(vec![(); 5], |()| assert_eq!(thread::current().id(), me));
}

#[test]
fn idle_threads_sleep_and_wake_up_again() {
    let threads = threads(3);
    for _ in 0..5 {
        wait_for_parked(&threads, 2);
        check_every_item_once(&threads, 50);
    }
}

#[test]
fn a_panic_comes_back_to_the_caller_and_the_threads_go_on() {
    let threads = threads(3);
    for bad in 0..20 {
        let result = catch_unwind(AssertUnwindSafe(|| {
            threads.for_each(0..20, |item| assert_ne!(item, bad, "the bad one"));
        }));
        let panic = result.expect_err("one item is bad");
        let text = panic.downcast_ref::<String>().expect("assert_ne panics with a text");
        assert!(text.contains("the bad one"), "{text}");
        check_every_item_once(&threads, 20);
    }
}

#[test]
fn jobs_of_several_callers_run_one_after_the_other() {
    let threads = threads(2);
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    threads.for_each(vec![1; 10], |n| {
                        done.fetch_add(n, Ordering::Relaxed);
                    });
                }
            });
        }
    });
    assert_eq!(done.into_inner(), 4 * 200 * 10);
}

#[test]
fn threads_end_whether_they_slept_worked_or_never_began() {
    for _ in 0..50 {
        drop(threads(4));
        let used = threads(4);
        check_every_item_once(&used, 10);
        drop(used);
    }
    let asleep = threads(2);
    wait_for_parked(&asleep, 1);
    drop(asleep);
}
