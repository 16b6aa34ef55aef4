//! The local engine: what the rest of the program sees of the model.
//!
//! [`BurnEngine`] checks the model's files and opens the device, then hands both to a worker thread, which loads the weights and
//! owns the model from then on. All that is left here is a queue, and what the two sides share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use engine::{
    ContextPolicy, Engine, EngineError, EngineEvent, Generation, ModelInfo, Readiness, Rendered, Request, TurnTag,
    channel,
};
use model_files::ModelFiles;

use crate::disk::Disk;
use crate::error::with_sources;
use crate::model::quantised_at_load;
use crate::prompt::{Defaults, Prompt, PromptFormat, history_room};
use crate::worker::{Job, Limits, ModelRunner, Shared, Shelf, Worker};
use crate::{BurnEngineError, BurnEngineSettings, ComputeDevice, LlamaModel, MAX_CHUNK};

/// Events between the worker and a reader: some seconds of an answer, so that a busy reader never slows it.
const CHANNEL_EVENTS: usize = 256;

/// The local transformer behind the [`Engine`] trait. Dropping it ends every answer and waits for the worker's step.
#[derive(Debug)]
pub struct BurnEngine {
    info: ModelInfo,
    defaults: Defaults,
    format: Arc<PromptFormat>,
    shared: Arc<Shared>,
    disk: Option<Arc<Disk>>,
    channel_events: usize,
    worker: Option<JoinHandle<()>>,
}

impl BurnEngine {
    /// Checks the settings, the model's headers and the device, and begins to load. Requests are accepted from now on; they
    /// are answered once the model is there (see [`Engine::readiness`]).
    ///
    /// # Errors
    /// A [`BurnEngineError`] that names the file, the setting or the device.
    pub fn start(settings: BurnEngineSettings) -> Result<Self, BurnEngineError> {
        Self::start_worker(settings, Tuning::default())
    }

    pub(crate) fn start_worker(settings: BurnEngineSettings, tuning: Tuning) -> Result<Self, BurnEngineError> {
        let mut files = ModelFiles::open(&settings.model).map_err(|source| BurnEngineError::OpenModel {
            path: settings.model.clone(),
            source,
        })?;
        if tuning.never_stops {
            // No token has this id: a vocabulary is smaller.
            files.config.stop_ids = vec![u32::MAX];
        }
        settings.check(files.config.context_tokens)?;
        let device = ComputeDevice::open(settings.device, settings.precision, settings.threads)?;
        let defaults = settings.defaults(files.config.context_tokens);
        let info = ModelInfo {
            name: settings.name.clone(),
            fingerprint: files.fingerprint().to_owned(),
            context_tokens: defaults.context_tokens,
            sink_tokens: defaults.sink_tokens,
            window_tokens: defaults.window_tokens,
            context: ContextPolicy::Rolling,
            // Chat templates are rendered a segment at a time, and what they say of tools is in no segment yet.
            tools: false,
        };
        let disk = open_disk(&settings, &files, &device)?.map(Arc::new);
        let files = Arc::new(files);
        let format = Arc::new(PromptFormat::new(Arc::clone(&files), settings.name));
        let shared = Arc::new(Shared::new());
        for (name, tag) in disk.iter().flat_map(|disk| disk.conversations()) {
            shared.set_cached(&name, tag);
        }
        let channel_events = tuning.channel_events;
        let limits = Limits {
            kv_budget_bytes: settings.kv_budget_bytes,
            prompt_chunk: tuning.prompt_chunk,
        };
        let load = {
            let format = Arc::clone(&format);
            move || {
                Ok(ModelRunner::new(
                    LlamaModel::load(files, &device, settings.quantise)?,
                    format,
                    defaults,
                ))
            }
        };
        let worker = {
            let (shared, name) = (Arc::clone(&shared), info.name.clone());
            let shelf = Shelf::new(disk.clone());
            let new_worker = move |shared, machine| {
                let worker = Worker::new(shared, machine, shelf, limits);
                #[cfg(test)]
                let worker = worker.with_hooks(tuning.before_step, tuning.in_step);
                worker
            };
            let thread = thread::Builder::new().name("model-worker".to_owned());
            thread
                .spawn(move || work(&shared, &name, load, new_worker))
                .map_err(|source| BurnEngineError::Worker { source })?
        };
        Ok(Self {
            info,
            defaults,
            format,
            shared,
            disk,
            channel_events,
            worker: Some(worker),
        })
    }
}

/// Where caches go on from after a restart, if they are to and are in f16.
fn open_disk(
    settings: &BurnEngineSettings,
    files: &ModelFiles,
    device: &ComputeDevice,
) -> Result<Option<Disk>, BurnEngineError> {
    let checkpoints = settings.checkpoints.clone().filter(|_| device.keeps_f16_caches());
    let Some(checkpoints) = checkpoints else {
        return Ok(None);
    };
    let model = match quantised_at_load(files, device, settings.quantise) {
        // With other weights, the same tokens leave other keys and values.
        Some(blocks) => format!("{}-{blocks}", files.fingerprint()),
        None => files.fingerprint().to_owned(),
    };
    Disk::open(checkpoints, &model).map(Some)
}

/// What tests and benchmarks set otherwise.
pub(crate) struct Tuning {
    /// No token ends an answer.
    pub(crate) never_stops: bool,
    pub(crate) channel_events: usize,
    /// Tokens of prompts that are read in a step.
    pub(crate) prompt_chunk: usize,
    #[cfg(test)]
    pub(crate) before_step: Option<crate::worker::StepHook>,
    #[cfg(test)]
    pub(crate) in_step: Option<crate::worker::BatchHook>,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            never_stops: false,
            channel_events: CHANNEL_EVENTS,
            prompt_chunk: MAX_CHUNK,
            #[cfg(test)]
            before_step: None,
            #[cfg(test)]
            in_step: None,
        }
    }
}

impl Engine for BurnEngine {
    fn model(&self) -> ModelInfo {
        self.info.clone()
    }

    fn readiness(&self) -> Readiness {
        self.shared.readiness()
    }

    fn generate(&self, request: Request) -> Result<Generation, EngineError> {
        if !request.tools.is_empty() {
            let reason = format!("model {:?} can't be offered tools", self.info.name);
            return Err(EngineError::InvalidRequest { reason });
        }
        let (emitter, generation) = channel(self.channel_events);
        self.shared
            .submit(Job::new(request, emitter))
            .map_err(|error| error.into_engine_error(&self.info.name))?;
        Ok(generation)
    }

    fn cached_through(&self, conversation: &str) -> Option<TurnTag> {
        self.shared.cached_through(conversation)
    }

    fn forget(&self, conversation: &str) {
        self.shared.forget(conversation);
        // At once, so that no crash brings back what was forgotten; what the worker still writes of it, it removes.
        if let Some(disk) = &self.disk {
            disk.forget(conversation);
        }
    }

    fn cache_bytes(&self) -> u64 {
        self.shared.cache_bytes()
    }

    /// As the trait says. With [`Request::continues_from`] it is the messages alone: what precedes them is in the cache.
    fn render(&self, request: &Request) -> Result<Rendered, EngineError> {
        let (mut prompt, mut room_tokens) = (Prompt::default(), u64::MAX);
        if request.continues_from.is_none() {
            prompt = self.format.system(request.system.as_deref())?;
            room_tokens = history_room(self.defaults.place(&request.options, prompt.ids.len() as u64)?);
        }
        self.format
            .append_history(&mut prompt, &request.messages, room_tokens)?;
        self.format
            .rendered(prompt, request.system.as_deref(), &request.messages)
    }
}

impl Drop for BurnEngine {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(worker) = self.worker.take() {
            // A worker that panicked has said so; there is nothing left to do about it.
            drop(worker.join());
        }
    }
}

/// The worker thread: loads the model, then answers until the engine is closed.
fn work(
    shared: &Arc<Shared>,
    model: &str,
    load: impl FnOnce() -> Result<ModelRunner, BurnEngineError>,
    new_worker: impl FnOnce(Arc<Shared>, ModelRunner) -> Worker,
) {
    let reason = match catch_unwind(AssertUnwindSafe(load)) {
        Ok(Ok(machine)) => {
            shared.set_ready();
            let worker = new_worker(Arc::clone(shared), machine);
            match catch_unwind(AssertUnwindSafe(|| worker.run())) {
                Ok(()) => "the engine was closed".to_owned(),
                Err(_) => "the worker thread panicked".to_owned(),
            }
        }
        Ok(Err(error)) => with_sources(&error),
        Err(_) => "loading panicked".to_owned(),
    };
    for job in shared.set_failed(reason.clone()) {
        let error = EngineError::ModelUnavailable {
            model: model.to_owned(),
            reason: reason.clone(),
        };
        // A new answer's channel has room for one event; if its reader is gone, nobody wants to know.
        drop(job.emitter.try_send(EngineEvent::Failed(error)));
    }
}
