//! The memory of a conversation, turn after turn, without the scheduler's thread.

use std::sync::Arc;
use std::{iter, slice};

use engine::{TurnTag, channel};
use model_files::ModelFiles;

use super::{WINDOW, request, settings, user};
use crate::prompt::PromptFormat;
use crate::scheduler::{Admission, Batch, CachePool, Delivery, ModelRunner, QueuedRequest, Sequence};
use crate::{ComputeDevice, DeviceChoice, LlamaModel, MAX_CHUNK, Precision, Quantise, REWIND_TOKENS};

pub(super) fn runner() -> ModelRunner {
    let settings = settings();
    let files = Arc::new(ModelFiles::open(&settings.model).expect("the toy is part of the repository"));
    let device = ComputeDevice::open(DeviceChoice::Cpu, Precision::Auto, Some(1)).expect("the CPU is there");
    let defaults = settings.defaults(files.config.context_tokens);
    let model = LlamaModel::load(Arc::clone(&files), &device, Quantise::Auto).expect("the toy can be loaded");
    ModelRunner::new(model, Arc::new(PromptFormat::new(files, settings.name)), defaults)
}

/// Runs a turn to its end and returns its conversation to the pool. Returns the bytes of its cache.
fn run(tag: u64, runner: &mut ModelRunner, pool: &mut CachePool) -> usize {
    let mut request = request("c", (tag > 1).then(|| tag - 1), vec![user(tag, "Hello there")]);
    request.options.max_new_tokens = 200;
    // Every event fits, so that nothing has to be read.
    let (emitter, _generation) = channel(512);
    let admission = Admission::find(&request, runner, pool, iter::empty()).expect("the cache is there");
    let mut sequence = Sequence::new(QueuedRequest::new(request, emitter), admission, runner, 0);
    let max_bytes = sequence.max_cache_bytes();
    let index = Arc::clone(pool.index());
    while sequence.deliver(&index) == Delivery::Sent {
        assert_eq!(index.cached_through("c"), None, "the turn is running");
        let mut batch = Batch::schedule(slice::from_mut(&mut sequence), 0, MAX_CHUNK);
        assert!(!batch.is_empty(), "there is more to read");
        batch.execute(runner).expect("the model runs");
        batch.update_from_output(runner);
    }
    assert_eq!(index.cached_through("c"), Some(TurnTag(tag)));
    let conversation = sequence.into_conversation().expect("nothing went wrong");
    let bytes = conversation.cache.bytes();
    assert!(bytes <= max_bytes, "{bytes} and not {max_bytes} at the most");
    pool.put("c", conversation);
    assert_eq!(index.cached_through("c"), Some(TurnTag(tag)));
    bytes
}

#[test]
fn a_conversation_stops_growing() {
    let (mut runner, mut pool) = (runner(), CachePool::default());
    let bytes: Vec<usize> = (1..=30).map(|tag| run(tag, &mut runner, &mut pool)).collect();
    // About 200 tokens a turn: the ring, which holds the window, the longest chunk and what can be rewound, is full by
    // then.
    let ring_tokens = WINDOW + MAX_CHUNK + REWIND_TOKENS;
    let full = ring_tokens / 150;
    assert!(bytes[0] < bytes[full], "{bytes:?}");
    assert!(bytes[full..].iter().all(|&later| later == bytes[full]), "{bytes:?}");
}
