//! Conversations that outgrow their window, and epochs that begin when one can't continue.

use engine::{Engine, EngineError, FinishReason, Options, TurnTag};
use kv_cache::SinkWindow;

use super::{SINKS, WINDOW, ask, assistant, fails, options, request, start, tokens, user};
use crate::BurnEngine;

/// The ids of an answer that any test may put into a history. They spell `ok`.
const OK: [u32; 2] = [b'o' as u32 + 3, b'k' as u32 + 3];

#[test]
fn evicted_tokens_are_counted_exactly() {
    let engine = start();
    let system_tokens = rendered_tokens(&engine, "x", 0);
    let sink_window = SinkWindow::new(system_tokens.max(SINKS as u64), WINDOW as u64);
    let (mut stream_tokens, mut evicted_tokens, mut gone) = (0, 0, None);
    let mut ends = Vec::new();
    for tag in 1..=16_u64 {
        let text = "word ".repeat(tag as usize % 5 + 1);
        let mut next = request("c", (tag > 1).then(|| tag - 1), vec![user(tag, &text)]);
        next.options.max_new_tokens = 20 + tag as u32 % 7;
        let answer = ask(&engine, next);
        assert_eq!(answer.started.epoch, TurnTag(1));
        assert_eq!(
            answer.started.cached_tokens,
            stream_tokens - sink_window.evicted(stream_tokens)
        );
        // The last turn ends with the literal that closes its answer, `<|im_end|>` and a line break, before this turn's
        // question.
        let question_tokens = rendered_tokens(&engine, &text, 1);
        let end = stream_tokens + answer.started.prompt_tokens - question_tokens;
        ends.extend((tag > 1).then(|| (end, TurnTag(tag - 1))));
        // The last token of an answer is not read before the next turn; a stop token is not part of the answer.
        let usage = answer.finished.usage;
        let read_tokens = usage.completion_tokens - u64::from(answer.finished.reason == FinishReason::Length);
        stream_tokens += usage.prompt_tokens + read_tokens.min(answer.ids().len() as u64);
        evicted_tokens += answer.finished.usage.evicted_tokens;
        assert_eq!(evicted_tokens, sink_window.evicted(stream_tokens), "turn {tag}");
        gone = answer
            .evictions
            .iter()
            .filter_map(|eviction| eviction.1)
            .next_back()
            .or(gone);
        let first_visible = sink_window.first_visible(stream_tokens);
        let expected = ends
            .iter()
            .rev()
            .find(|(end, _)| *end <= first_visible)
            .map(|end| end.1);
        assert_eq!(gone, expected, "turn {tag}");
    }
    assert!(
        evicted_tokens > 2 * WINDOW as u64,
        "the conversation outgrew its window"
    );
}

/// Returns the tokens of a part of a first turn's prompt: 0 is the system part, 1 the user's message.
fn rendered_tokens(engine: &BurnEngine, text: &str, part: usize) -> u64 {
    let rendered = engine
        .render(&request("c", None, vec![user(1, text)]))
        .expect("it can be rendered");
    rendered.spans[part].tokens.len() as u64
}

#[test]
fn a_new_epoch_takes_the_newest_whole_turns_that_fit() {
    let engine = start();
    let mut messages = Vec::new();
    for tag in 1..20 {
        messages.extend([user(tag, "Hello there"), assistant(tag, &OK)]);
    }
    messages.push(user(20, "and now?"));
    let answer = ask(&engine, request("c", None, messages.clone()));
    let epoch = answer.started.epoch;
    assert!(TurnTag(1) < epoch && epoch < TurnTag(20), "{epoch:?}");
    let history_tokens = answer.started.prompt_tokens - rendered_tokens(&engine, "x", 0);
    assert!(history_tokens <= WINDOW as u64);
    // One turn more would not have fitted.
    let from = messages
        .iter()
        .position(|message| message.tag == epoch)
        .expect("it is one of them");
    let turn_tokens = (history_tokens - rendered_tokens(&engine, "and now?", 1)) / ((messages.len() - from) / 2) as u64;
    assert!(history_tokens + turn_tokens > WINDOW as u64);
    let shorter = ask(&engine, request("d", None, messages.split_off(from)));
    assert_eq!(shorter.ids(), answer.ids());
}

#[test]
fn turns_among_the_sinks_never_leave() {
    let engine = start();
    let (mut read_tokens, mut pinned, mut gone) = (0, TurnTag(0), Vec::new());
    for tag in 1..=9_u64 {
        let mut next = request("c", (tag > 1).then(|| tag - 1), vec![user(tag, "Hello")]);
        next.options.sink_tokens = Some(160);
        let answer = ask(&engine, next);
        // A little too many: the last token of an answer of the longest length is in the next prompt again.
        read_tokens += answer.started.prompt_tokens + answer.ids().len() as u64;
        if read_tokens < 150 {
            pinned = TurnTag(tag);
        }
        gone.extend(answer.evictions.into_iter().filter_map(|eviction| eviction.1));
    }
    assert!(pinned >= TurnTag(1) && !gone.is_empty(), "{pinned:?} {gone:?}");
    assert!(gone.iter().all(|turn| *turn > pinned), "{pinned:?} {gone:?}");
}

#[test]
fn a_prompt_as_long_as_the_window_fits_and_one_token_more_rolls_one_out() {
    let engine = start();
    // A byte of the toy's text is a token.
    let of = |len: usize| {
        let mut next = request("c", None, vec![user(1, &"Q".repeat(len))]);
        // The token that is chosen last is not read.
        next.options.max_new_tokens = 1;
        ask(&engine, next)
    };
    let shortest = of(1).started;
    assert!(shortest.sink_tokens > SINKS as u64, "the system part is the sinks");
    let len = 1 + (shortest.sink_tokens + shortest.window_tokens - tokens(&shortest)) as usize;
    for (more, evicted) in [(0, 0), (1, 1), (2, 2)] {
        let answer = of(len + more);
        let capacity = answer.started.sink_tokens + answer.started.window_tokens;
        assert_eq!(tokens(&answer.started), capacity + more as u64);
        assert_eq!(
            answer.finished.usage.evicted_tokens, evicted,
            "{more} more than the window"
        );
    }
}

#[test]
fn a_history_as_long_as_the_window_is_taken_whole_and_one_token_more_is_not() {
    let engine = start();
    let of = |len: usize| {
        let messages = vec![user(1, "Hello"), assistant(1, &OK), user(2, &"Q".repeat(len))];
        ask(&engine, request("c", None, messages)).started
    };
    let shortest = of(1);
    assert_eq!(shortest.epoch, TurnTag(1));
    let len = 1 + (shortest.sink_tokens + shortest.window_tokens - tokens(&shortest)) as usize;
    let whole = of(len);
    assert_eq!(whole.epoch, TurnTag(1));
    assert_eq!(tokens(&whole), whole.sink_tokens + whole.window_tokens);
    assert_eq!(of(len + 1).epoch, TurnTag(2));
}

#[test]
fn a_message_longer_than_the_window_streams_through() {
    let engine = start();
    let text = "Q".repeat(10 * WINDOW);
    let answer = ask(
        &engine,
        request("c", None, vec![user(1, "old"), assistant(1, &OK), user(2, &text)]),
    );
    assert_eq!(answer.started.epoch, TurnTag(2));
    assert!(answer.finished.usage.evicted_tokens > 9 * WINDOW as u64);
    ask(&engine, request("c", Some(2), vec![user(3, "go on")]));
}

#[test]
fn a_long_system_part_makes_the_window_smaller_and_then_fails() {
    let engine = start();
    let system = |tokens: usize| Some("Q".repeat(tokens));
    let wide = Options {
        window_tokens: Some(400),
        ..options()
    };
    let mut long = request("c", None, vec![user(1, "Hello")]);
    (long.system, long.options) = (system(150), wide.clone());
    let started = ask(&engine, long.clone()).started;
    assert!(started.sink_tokens > 150);
    assert_eq!(
        started.sink_tokens + started.window_tokens + 1,
        512,
        "the trained context is full"
    );
    long.system = system(300);
    let error = fails(&engine, long.clone());
    let EngineError::ContextTooLarge {
        needed_tokens,
        limit_tokens: 512,
        ..
    } = error
    else {
        panic!("{error:?}")
    };
    assert!(needed_tokens > 300 + 256);
    // A window that was small to begin with may stay as it is.
    long.options.window_tokens = Some(64);
    assert_eq!(ask(&engine, long.clone()).started.window_tokens, 64);
    long.options.window_tokens = Some(0);
    assert!(matches!(fails(&engine, long), EngineError::InvalidRequest { .. }));
}
