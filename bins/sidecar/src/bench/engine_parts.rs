//! Measurements of a whole engine, through the `Engine` trait as the sidecar uses it: prompts, queue, sampler and
//! events included.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use engine::{Engine, EngineEvent, Finished, Generation, ModelInfo, Options, Readiness, Request, TurnTag};
use engine_burn::eval::bench::start_endless;
use engine_burn::eval::resident_bytes;

use super::plan::Plan;
use super::prompts::{first_turn, next_turn};
use super::report::{Concurrency, FirstToken, Load, Report};
use crate::error::CommandError;
use crate::local_engine;
use crate::progress::{bar, spinner};
use crate::settings::Settings;

/// Tokens of the answers that only lead up to the measured one.
const SHORT_ANSWER: u32 = 8;

/// How often a state without an event is polled: well below what is measured.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// How long an engine may take to roll back a turn; it takes a step of the model.
const UNDO_TIMEOUT: Duration = Duration::from_secs(60);

/// Numbers of conversations, far apart, so that none shares another's words.
const NEW: usize = 1_000;
const EARLY: usize = 2_000;
const LATE: usize = 3_000;

/// Starts an engine, measures, and stops it.
pub(super) fn measure(settings: &Settings, path: &Path, plan: &Plan, report: &mut Report) -> Result<(), CommandError> {
    let loading = spinner("loading the engine");
    let start = Instant::now();
    let engine = start_endless(local_engine::engine_settings(settings, path))?;
    wait_until_ready(&engine)?;
    let ready = start.elapsed();
    loading.finish_and_clear();
    let full_view = full_view(&engine, settings.streaming);
    if plan.load {
        report.load = Some(load(&engine, ready, full_view)?);
    }
    report.conversations = conversations(&engine, plan)?;
    if let Some(late) = plan.first_token {
        report.first_token = Some(first_token(&engine, late, full_view, plan.repeat)?);
    }
    Ok(())
}

fn wait_until_ready(engine: &dyn Engine) -> Result<(), CommandError> {
    loop {
        match engine.readiness() {
            Readiness::Ready => return Ok(()),
            Readiness::Loading => thread::sleep(POLL_INTERVAL),
            Readiness::Failed(reason) => return Err(format!("the model can't be loaded: {reason}").into()),
        }
    }
}

/// Measures the process's memory now, and after a conversation whose prompt fills its window.
fn load(engine: &dyn Engine, ready: Duration, full_view: usize) -> Result<Load, CommandError> {
    let loaded_bytes = resident_bytes();
    let reading = spinner("filling a window");
    let request = first_turn(engine, 0, full_view, &greedy(SHORT_ANSWER))?;
    answer(engine, request)?;
    reading.finish_and_clear();
    let serving_bytes = resident_bytes();
    engine.forget("bench-0");
    Ok(Load {
        ready_ms: ready.as_secs_f64() * 1e3,
        loaded_bytes,
        serving_bytes,
    })
}

/// Measures every number of concurrent conversations, in turn, so that whatever else the machine does affects all of
/// them.
fn conversations(engine: &dyn Engine, plan: &Plan) -> Result<Vec<Concurrency>, CommandError> {
    let options = greedy(u32::try_from(plan.answer_tokens)?);
    let max_count = plan.conversations.iter().copied().max().unwrap_or(0);
    let requests = (0..max_count).map(|idx| first_turn(engine, idx, plan.prompt_tokens, &options));
    let requests = requests.collect::<Result<Vec<_>, _>>()?;
    let mut results: Vec<Concurrency> = plan
        .conversations
        .iter()
        .map(|&count| Concurrency::new(count))
        .collect();
    for result in &mut results {
        let prompts = requests[..result.count]
            .iter()
            .map(|request| Ok(engine.render(request)?.ids));
        result.prompts = prompts.collect::<Result<_, CommandError>>()?;
    }
    if let Some(request) = requests.first() {
        // The first answer pays for pages that were never touched.
        answer(engine, request.clone())?;
        engine.forget(&request.conversation);
    }
    let progress = bar((plan.repeat * results.len()) as u64, "conversations at once");
    for _ in 0..plan.repeat {
        for result in &mut results {
            let (tokens, elapsed) = run_concurrently(engine, &requests[..result.count])?;
            result.seconds.push(elapsed.as_secs_f64());
            result.answer_tokens = tokens;
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    Ok(results)
}

/// Requests all answers at once; returns the tokens of all answers, and the time until the last one is complete.
fn run_concurrently(engine: &dyn Engine, requests: &[Request]) -> Result<(u64, Duration), CommandError> {
    let start = Instant::now();
    let readers: Vec<Result<Finished, CommandError>> = thread::scope(|scope| {
        let readers: Vec<_> = requests
            .iter()
            .map(|request| scope.spawn(|| answer(engine, request.clone())))
            .collect();
        let died = || Err("a reader of an answer died".into());
        readers
            .into_iter()
            .map(|reader| reader.join().unwrap_or_else(|_| died()))
            .collect()
    });
    let elapsed = start.elapsed();
    let mut tokens = 0;
    for finished in readers {
        tokens += finished?.usage.completion_tokens;
    }
    for request in requests {
        engine.forget(&request.conversation);
    }
    Ok((tokens, elapsed))
}

/// Measures the first token of a new conversation, of a second turn and of turn `late`, in turn. Both continued
/// conversations begin with a message that fills their window, and each measured turn is rolled back, so that it can be
/// measured again.
fn first_token(engine: &dyn Engine, late: u64, full_view: usize, repeat: usize) -> Result<FirstToken, CommandError> {
    // The long one doesn't end before it is dropped: an answer that has ended stays in the cache.
    let (short, long) = (greedy(SHORT_ANSWER), greedy(u32::from(u16::MAX)));
    let progress = bar(late, "turns");
    for idx in [EARLY, LATE] {
        answer(engine, first_turn(engine, idx, full_view, &short)?)?;
    }
    for last in 1..late - 1 {
        progress.set_position(last);
        answer(engine, next_turn(LATE, last, &short))?;
    }
    progress.finish_and_clear();
    let mut result = FirstToken {
        late_turn: late,
        ..FirstToken::default()
    };
    let measuring = bar(repeat as u64, "first tokens");
    // One more, which isn't counted: it pays for pages that were never touched.
    for run in 0..=repeat {
        let mut new = next_turn(NEW + run, 0, &short);
        new.continues_from = None;
        let times = [
            until_first_token(engine, new, None)?,
            until_first_token(engine, next_turn(EARLY, 1, &long), Some(TurnTag(1)))?,
            until_first_token(engine, next_turn(LATE, late - 1, &long), Some(TurnTag(late - 1)))?,
        ];
        if run > 0 {
            let samples = [&mut result.new_ms, &mut result.second_ms, &mut result.late_ms];
            samples.into_iter().zip(times).for_each(|(sample, ms)| sample.push(ms));
            measuring.inc(1);
        }
    }
    measuring.finish_and_clear();
    [EARLY, LATE]
        .iter()
        .for_each(|idx| engine.forget(&format!("bench-{idx}")));
    Ok(result)
}

/// Returns the milliseconds from the request to its first token. Then drops the turn, and waits until the engine has
/// rolled back to `before`.
fn until_first_token(engine: &dyn Engine, request: Request, before: Option<TurnTag>) -> Result<f64, CommandError> {
    let name = request.conversation.clone();
    let start = Instant::now();
    let mut generation = engine.generate(request)?;
    // The end comes first if the whole answer is half a character.
    while !matches!(
        next_event(&mut generation)?,
        EngineEvent::Token { .. } | EngineEvent::Finished(_)
    ) {}
    let elapsed = start.elapsed();
    if before.is_none() {
        engine.forget(&name);
    }
    drop(generation);
    let deadline = Instant::now() + UNDO_TIMEOUT;
    while engine.cached_through(&name) != before {
        if Instant::now() > deadline {
            return Err("the engine didn't undo a turn that was dropped".into());
        }
        thread::sleep(POLL_INTERVAL);
    }
    Ok(elapsed.as_secs_f64() * 1e3)
}

/// Reads an answer to its end.
fn answer(engine: &dyn Engine, request: Request) -> Result<Finished, CommandError> {
    let mut generation = engine.generate(request)?;
    loop {
        if let EngineEvent::Finished(finished) = next_event(&mut generation)? {
            return Ok(finished);
        }
    }
}

fn next_event(generation: &mut Generation) -> Result<EngineEvent, CommandError> {
    match generation.blocking_next() {
        Some(EngineEvent::Failed(error)) => Err(error.into()),
        Some(event) => Ok(event),
        None => Err("the engine is gone".into()),
    }
}

/// Returns how many prompt tokens fill a conversation's view with these settings.
fn full_view(engine: &dyn Engine, streaming: bool) -> usize {
    /// More than the system part of our prompts, which stays beside the window; and what is left of a dense cache for
    /// an answer.
    const SPARE: u64 = 64;
    let ModelInfo {
        context_tokens,
        sink_tokens,
        window_tokens,
        ..
    } = engine.model();
    let tokens = if streaming {
        sink_tokens + window_tokens + SPARE
    } else {
        context_tokens.saturating_sub(SPARE)
    };
    usize::try_from(tokens).expect("a view fits in memory")
}

/// Options that always choose the most likely token, up to a number of tokens.
fn greedy(max_new_tokens: u32) -> Options {
    Options {
        temperature: 0.0,
        top_p: 1.0,
        max_new_tokens,
        ..Options::default()
    }
}
