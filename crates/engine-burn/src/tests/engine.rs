//! Tests of the engine through its public interface, with the toy model.

mod budget;
mod cache_index;
mod cancel;
mod continuing;
mod endless;
mod limits;
mod many;
mod memory;
mod real_model;
mod rendering;
mod restarts;
mod same_bits;
mod system_parts;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use engine::{
    Engine, EngineError, EngineEvent, Finished, Generation, Message, Options, Request, Role, Started, TurnTag,
};

use crate::engine::Tuning;
use crate::{BurnEngine, BurnEngineSettings, DeviceChoice};

/// Sinks and a window that the toy outgrows within a few turns.
const SINKS: usize = 4;
const WINDOW: usize = 128;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn settings() -> BurnEngineSettings {
    let mut settings = BurnEngineSettings::new(fixture("fixtures/models/toy-llama.gguf"), "toy");
    settings.device = DeviceChoice::Cpu;
    settings.threads = Some(1);
    settings.start_size = SINKS;
    settings.recent_size = WINDOW;
    settings
}

fn start() -> BurnEngine {
    BurnEngine::start(settings()).expect("the toy model is there")
}

fn start_tuned(tuning: Tuning) -> BurnEngine {
    BurnEngine::start_tuned(settings(), tuning).expect("the toy model is there")
}

/// A test's action in the middle of an answer.
type Action = Box<dyn FnOnce() + Send>;

/// Starts an engine that runs the action sent to it right before step `step_idx` of the conversation `c`. It waits for
/// the action before the first step, so that no test depends on which thread is faster.
fn start_with_action_at(step_idx: usize) -> (BurnEngine, SyncSender<Action>) {
    start_with_action_at_within(step_idx, settings().kv_budget_bytes)
}

/// Does the same with a budget for caches.
fn start_with_action_at_within(step_idx: usize, kv_budget_bytes: usize) -> (BurnEngine, SyncSender<Action>) {
    let (sender, receiver): (SyncSender<Action>, Receiver<Action>) = sync_channel(1);
    let mut step = 0;
    let mut action = None;
    let hook = move |conversation: &str| {
        if conversation != "c" {
            return;
        }
        if step == 0 {
            action = receiver.recv().ok();
        }
        if step == step_idx
            && let Some(action) = action.take()
        {
            action();
        }
        step += 1;
    };
    let tuning = Tuning {
        before_step: Some(Box::new(hook)),
        ..Tuning::default()
    };
    let mut settings = settings();
    settings.kv_budget_bytes = kv_budget_bytes;
    let engine = BurnEngine::start_tuned(settings, tuning).expect("the toy model is there");
    (engine, sender)
}

fn user(tag: u64, text: &str) -> Message {
    Message {
        role: Role::User,
        text: text.to_owned(),
        ids: None,
        tag: TurnTag(tag),
    }
}

fn assistant(tag: u64, ids: &[u32]) -> Message {
    Message {
        role: Role::ASSISTANT,
        text: "not looked at".to_owned(),
        ids: Some(ids.to_vec()),
        tag: TurnTag(tag),
    }
}

/// Options with which answers are sampled, so that they differ by seed, and short.
fn options() -> Options {
    Options {
        temperature: 1.0,
        max_new_tokens: 24,
        ..Options::default()
    }
}

/// Makes a request whose seed is its turn's tag.
fn request(conversation: &str, continues_from: Option<u64>, messages: Vec<Message>) -> Request {
    let seed = messages.last().map_or(0, |message| message.tag.0);
    Request {
        conversation: conversation.to_owned(),
        system: Some("Be a toy.".to_owned()),
        continues_from: continues_from.map(TurnTag),
        messages,
        tools: Vec::new(),
        options: options(),
        seed,
    }
}

/// An answer that was read to its end.
#[derive(Debug)]
struct Answer {
    started: Started,
    text: String,
    evictions: Vec<(u64, Option<TurnTag>)>,
    finished: Finished,
}

impl Answer {
    fn ids(&self) -> &[u32] {
        &self.finished.answer_ids
    }
}

/// Returns the tokens of the whole prompt, cached or not.
fn tokens(started: &Started) -> u64 {
    started.prompt_tokens + started.cached_tokens
}

#[track_caller]
fn ask(engine: &BurnEngine, request: Request) -> Answer {
    read(engine.generate(request).expect("the engine accepts it")).expect("the answer is completed")
}

#[track_caller]
fn fails(engine: &BurnEngine, request: Request) -> EngineError {
    read(engine.generate(request).expect("the engine accepts it")).expect_err("the answer fails")
}

/// Reads an answer to its end, and checks what holds for every answer.
#[track_caller]
fn read(mut generation: Generation) -> Result<Answer, EngineError> {
    let mut first = generation.blocking_next();
    while let Some(EngineEvent::Queued { .. }) = first {
        first = generation.blocking_next();
    }
    let started = match first {
        Some(EngineEvent::Started(started)) => started,
        Some(EngineEvent::Failed(error)) => {
            assert_eq!(generation.blocking_next(), None, "a failure is the end");
            return Err(error);
        }
        other => panic!("an answer starts with Started, not {other:?}"),
    };
    let (mut text, mut ids, mut evictions) = (String::new(), Vec::new(), Vec::new());
    let finished = loop {
        match generation.blocking_next() {
            Some(EngineEvent::Token {
                text: token,
                ids: token_ids,
            }) => {
                assert!(!token.is_empty() && !token_ids.is_empty());
                text.push_str(&token);
                ids.extend(token_ids);
            }
            Some(EngineEvent::Evicted { tokens, through }) => {
                assert!(tokens > 0, "{through:?} can't have left without a token");
                evictions.push((tokens, through));
            }
            Some(EngineEvent::Finished(finished)) => break finished,
            Some(EngineEvent::Failed(error)) => return Err(error),
            other => panic!("the answer ended with {other:?}"),
        }
    };
    assert_eq!(generation.blocking_next(), None, "the end is the end");
    assert_eq!(ids, finished.answer_ids, "the tokens' ids are the answer's");
    assert_eq!(
        evictions.iter().map(|eviction| eviction.0).sum::<u64>(),
        finished.usage.evicted_tokens
    );
    let through: Vec<_> = evictions.iter().filter_map(|eviction| eviction.1).collect();
    assert!(through.is_sorted(), "turns leave in order: {through:?}");
    assert_eq!(finished.usage.prompt_tokens, started.prompt_tokens);
    Ok(Answer {
        started,
        text,
        evictions,
        finished,
    })
}

/// Returns these turns as messages, with the ids of their answers.
fn history(turns: &[(&str, &Answer)]) -> Vec<Message> {
    let pairs = (1..)
        .zip(turns)
        .flat_map(|(tag, (text, answer))| [user(tag, text), assistant(tag, answer.ids())]);
    pairs.collect()
}
