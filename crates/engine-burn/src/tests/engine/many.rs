//! Several conversations at once, slow readers, and steps that panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::{Engine, EngineError, EngineEvent, Readiness, TurnTag};

use super::{ask, fails, read, request, start, start_tuned, start_with_action_at, user};
use crate::engine::Tuning;
use crate::scheduler::{MAX_RUNNING, MAX_WAITING};

#[test]
fn conversations_side_by_side_don_t_mix() {
    let alone: Vec<_> = (0..3)
        .map(|n| ask(&start(), request(&n.to_string(), None, vec![user(n, "Hello")])))
        .collect();
    let engine = start();
    let together: Vec<_> = (0..3)
        .map(|n| {
            engine
                .generate(request(&n.to_string(), None, vec![user(n, "Hello")]))
                .expect("not busy")
        })
        .collect();
    for (together, alone) in together.into_iter().zip(alone) {
        assert_eq!(read(together).expect("it ends well").ids(), alone.ids());
    }
}

#[test]
fn turns_of_one_conversation_run_one_after_the_other() {
    let engine = start();
    let first = engine
        .generate(request("c", None, vec![user(1, "one")]))
        .expect("not busy");
    let second = engine
        .generate(request("c", Some(1), vec![user(2, "two")]))
        .expect("not busy");
    let third = engine
        .generate(request("c", Some(2), vec![user(3, "three")]))
        .expect("not busy");
    for (turn, tag) in [(first, 1), (second, 2), (third, 3)] {
        assert_eq!(
            read(turn).expect("it ends well").started.epoch,
            TurnTag(1),
            "turn {tag}"
        );
    }
    assert_eq!(engine.cached_through("c"), Some(TurnTag(3)));
}

#[test]
fn a_slow_reader_delays_no_other() {
    let expected = ask(&start(), request("slow", None, vec![user(1, "Hello")]));
    let engine = start_tuned(Tuning {
        channel_events: 1,
        ..Tuning::default()
    });
    let slow = engine
        .generate(request("slow", None, vec![user(1, "Hello")]))
        .expect("not busy");
    for tag in 1..4 {
        ask(
            &engine,
            request("fast", (tag > 1).then(|| tag - 1), vec![user(tag, "Hello")]),
        );
    }
    assert_eq!(engine.cached_through("slow"), None);
    let slow = read(slow).expect("it ends well");
    assert_eq!((slow.ids(), &slow.text), (expected.ids(), &expected.text));
}

#[test]
fn a_panic_ends_only_its_own_turn() {
    let (engine, actions) = start_with_action_at(4);
    let other = engine
        .generate(request("other", None, vec![user(1, "Hello")]))
        .expect("not busy");
    let failing = engine
        .generate(request("c", None, vec![user(1, "Hello")]))
        .expect("not busy");
    actions
        .send(Box::new(|| panic!("on purpose")))
        .expect("the scheduler waits for it");
    let error = read(failing).expect_err("its step panicked");
    assert_eq!(
        error,
        EngineError::Internal {
            reason: "a step panicked: on purpose".to_owned()
        }
    );
    read(other).expect("it ends well");
    assert_eq!(
        (engine.cached_through("c"), engine.cached_through("other")),
        (None, Some(TurnTag(1)))
    );
    assert_eq!(engine.readiness(), Readiness::Ready);
    assert_eq!(
        fails(&engine, request("c", Some(1), vec![user(2, "x")])),
        EngineError::NotCached { tag: TurnTag(1) }
    );
    ask(&engine, request("c", None, vec![user(2, "Hello")]));
}

#[test]
fn an_error_in_a_step_of_several_turns_ends_only_the_turn_with_the_error() {
    let alone = ask(&start(), request("other", None, vec![user(1, "Hello")]));
    let (mut steps, together) = (0, Arc::new(AtomicUsize::new(0)));
    let most = Arc::clone(&together);
    let engine = start_tuned(Tuning {
        in_step: Some(Box::new(move |conversations: &[&str]| {
            steps += 1;
            most.fetch_max(conversations.len(), Ordering::Relaxed);
            assert!(steps < 6 || !conversations.contains(&"c"), "on purpose");
        })),
        ..Tuning::default()
    });
    let turn = |name| {
        engine
            .generate(request(name, None, vec![user(1, "Hello")]))
            .expect("not busy")
    };
    let (failing, other) = (turn("c"), turn("other"));
    let error = read(failing).expect_err("its steps panic");
    let EngineError::Internal { reason } = error else {
        panic!("{error:?}")
    };
    assert!(reason.contains("on purpose"), "{reason}");
    assert_eq!(read(other).expect("it ends well").ids(), alone.ids());
    assert_eq!(together.load(Ordering::Relaxed), 2, "the two were read together");
}

#[test]
fn waiting_requests_learn_how_many_are_ahead() {
    let (engine, actions) = start_with_action_at(0);
    let mut turn = |name: &str| {
        let request = request(name, None, vec![user(1, "Hello")]);
        engine.generate(request).expect("not busy")
    };
    // The scheduler is held before the first one's first step, until all requests are queued.
    let running: Vec<_> = std::iter::once("c".to_owned())
        .chain((1..MAX_RUNNING).map(|n| format!("running {n}")))
        .map(|name| turn(&name))
        .collect();
    let waiting = ["first", "second"].map(&mut turn);
    actions.send(Box::new(|| {})).expect("the scheduler waits for it");
    for (idx, mut generation) in waiting.into_iter().enumerate() {
        let mut positions = Vec::new();
        while let Some(EngineEvent::Queued { ahead }) = generation.blocking_next() {
            positions.push(ahead);
        }
        assert_eq!(positions[0], MAX_RUNNING + idx, "{positions:?}");
        assert!(positions.is_sorted_by(|before, after| before > after), "{positions:?}");
    }
    for generation in running {
        read(generation).expect("it ends well");
    }
}

#[test]
fn too_many_waiting_requests_are_refused() {
    let (engine, actions) = start_with_action_at(0);
    // The first may be running already, held before its first step; all others are of the same conversation and wait
    // for it.
    let mut accepted = Vec::new();
    let refused = loop {
        match engine.generate(request("c", None, vec![user(1, "Hello")])) {
            Ok(generation) => accepted.push(generation),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, EngineError::Busy { waiting: MAX_WAITING });
    assert!((MAX_WAITING..=MAX_WAITING + 1).contains(&accepted.len()));
    // Requests whose readers are gone are dropped from the queue, even while the scheduler is held.
    let first = accepted.remove(0);
    drop(accepted);
    let after = engine.generate(request("c", None, vec![user(1, "Hello")]));
    drop(actions);
    read(first).expect("it ends well");
    read(after.expect("there is room")).expect("it ends well");
    ask(&engine, request("c", None, vec![user(1, "Hello")]));
}

#[test]
fn a_conversation_that_is_forgotten_while_it_runs_is_not_kept() {
    let (engine, actions) = start_with_action_at(2);
    let generation = engine
        .generate(request("c", None, vec![user(1, "Hello")]))
        .expect("not busy");
    let (resume, resumed) = std::sync::mpsc::sync_channel::<()>(1);
    let (reached, reaching) = std::sync::mpsc::sync_channel(1);
    let action = move || {
        reached.send(()).expect("the test waits for it");
        resumed.recv().expect_err("the test only drops its end");
    };
    actions.send(Box::new(action)).expect("the scheduler waits for it");
    reaching.recv().expect("the step is reached");
    engine.forget("c");
    drop(resume);
    read(generation).expect("it ends well");
    assert_eq!(engine.cached_through("c"), None);
    assert_eq!(
        fails(&engine, request("c", Some(1), vec![user(2, "x")])),
        EngineError::NotCached { tag: TurnTag(1) }
    );
}

#[test]
fn an_answer_ends_when_its_engine_is_closed() {
    let engine = start();
    let mut long = request("c", None, vec![user(1, "Hello")]);
    // Fewer than the channel holds, so that there is always room for the end.
    long.options.max_new_tokens = 200;
    let mut generation = engine.generate(long).expect("not busy");
    drop(engine);
    let mut last = None;
    while let Some(event) = generation.blocking_next() {
        last = Some(event);
    }
    assert!(
        matches!(last, Some(EngineEvent::Failed(_) | EngineEvent::Finished(_))),
        "{last:?}"
    );
}
