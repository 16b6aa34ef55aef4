//! What a conversation takes, turn after turn, without the thread around it.

use std::slice;
use std::sync::Arc;

use engine::{TurnTag, channel};
use model_files::ModelFiles;

use super::{WINDOW, request, settings, user};
use crate::prompt::PromptFormat;
use crate::worker::{Delivery, Job, ModelRunner, Place, Shared, Shelf, Step, Turn};
use crate::{ComputeDevice, DeviceChoice, LlamaModel, MAX_CHUNK, Precision, Quantise, REWIND_TOKENS};

pub(super) fn machine() -> ModelRunner {
    let settings = settings();
    let files = Arc::new(ModelFiles::open(&settings.model).expect("the toy is part of the repository"));
    let device = ComputeDevice::open(DeviceChoice::Cpu, Precision::Auto, Some(1)).expect("the CPU is there");
    let defaults = settings.defaults(files.config.context_tokens);
    let model = LlamaModel::load(Arc::clone(&files), &device, Quantise::Auto).expect("the toy can be loaded");
    ModelRunner::new(model, Arc::new(PromptFormat::new(files, settings.name)), defaults)
}

/// Runs a turn to its end and gives its conversation back to the shelf; the bytes of its cache.
fn run(tag: u64, machine: &mut ModelRunner, shelf: &mut Shelf) -> usize {
    let mut request = request("c", (tag > 1).then(|| tag - 1), vec![user(tag, "Hello there")]);
    request.options.max_new_tokens = 200;
    // Every event fits, so that nothing has to be read.
    let (emitter, _generation) = channel(512);
    let place = Place::find(&request, machine, shelf, &[]).expect("the cache is there");
    let mut turn = Turn::new(Job::new(request, emitter), place, machine, 0);
    let most_bytes = turn.most_cache_bytes();
    let shared = Shared::new();
    while turn.deliver(&shared) == Delivery::Sent {
        assert!(
            Step::plan(slice::from_mut(&mut turn), 0, MAX_CHUNK).take(machine),
            "there is more to read"
        );
    }
    assert_eq!(shared.cached_through("c"), Some(TurnTag(tag)));
    let conversation = turn.into_conversation().expect("nothing went wrong");
    let bytes = conversation.cache.bytes();
    assert!(bytes <= most_bytes, "{bytes} and not {most_bytes} at the most");
    assert_eq!(shelf.put("c", conversation), Vec::<String>::new());
    bytes
}

#[test]
fn a_conversation_stops_growing() {
    let (mut machine, mut shelf) = (machine(), Shelf::default());
    let bytes: Vec<usize> = (1..=30).map(|tag| run(tag, &mut machine, &mut shelf)).collect();
    // Some 200 tokens a turn: the ring, which holds window, longest chunk and what can be taken back, is whole by then.
    let ring_tokens = WINDOW + MAX_CHUNK + REWIND_TOKENS;
    let full = ring_tokens / 150;
    assert!(bytes[0] < bytes[full], "{bytes:?}");
    assert!(bytes[full..].iter().all(|&later| later == bytes[full]), "{bytes:?}");
}
