//! The local engine behind the `engine` crate's trait.
//!
//! [`BurnEngine`] checks the model's files and opens the device, then hands both to the scheduler's thread, which loads
//! the weights and owns the model from then on. What remains here queues requests and reads what the thread publishes;
//! it never waits for a step of the model.

use std::sync::Arc;
use std::thread::JoinHandle;

use engine::{
    ContextPolicy, Engine, EngineError, Generation, ModelInfo, Readiness, RenderedPrompt, Request, TurnTag, channel,
};
use model_files::ModelFiles;

use crate::cache_index::CacheIndex;
use crate::cache_store::CacheStore;
use crate::model::quantised_at_load;
use crate::prompt::{Defaults, Prompt, PromptFormat, history_room};
use crate::scheduler::{CachePool, ModelRunner, QueuedRequest, RequestQueue, SchedulerConfig, SchedulerThread};
use crate::{BurnEngineError, BurnEngineSettings, ComputeDevice, LlamaModel, MAX_CHUNK};

/// Events between the scheduler and a reader: some seconds of an answer, so that a busy reader never slows the
/// scheduler.
const CHANNEL_EVENTS: usize = 256;

/// The local transformer behind the [`Engine`] trait. Dropping it ends every answer and waits for the scheduler's
/// current step.
#[derive(Debug)]
pub struct BurnEngine {
    info: ModelInfo,
    defaults: Defaults,
    format: Arc<PromptFormat>,
    queue: Arc<RequestQueue>,
    index: Arc<CacheIndex>,
    store: Option<Arc<CacheStore>>,
    channel_events: usize,
    scheduler: Option<JoinHandle<()>>,
}

impl BurnEngine {
    /// Checks the settings, the model's headers and the device, and begins to load the model. Requests are accepted
    /// from now on, and answered once the model is loaded (see [`Engine::readiness`]).
    ///
    /// # Errors
    /// A [`BurnEngineError`] that names the file, the setting or the device.
    pub fn start(settings: BurnEngineSettings) -> Result<Self, BurnEngineError> {
        Self::start_tuned(settings, Tuning::default())
    }

    /// Does the same with settings for tests and benchmarks.
    pub(crate) fn start_tuned(settings: BurnEngineSettings, tuning: Tuning) -> Result<Self, BurnEngineError> {
        let files = open_model(&settings, tuning.never_stops)?;
        let device = ComputeDevice::open(settings.device, settings.precision, settings.threads)?;
        let defaults = settings.defaults(files.config.context_tokens);
        let info = model_info(&settings, &files, defaults);
        let index = Arc::new(CacheIndex::default());
        let store = open_cache_store(&settings, &files, &device, &index)?;
        let format = Arc::new(PromptFormat::new(Arc::clone(&files), settings.name));
        let queue = Arc::new(RequestQueue::new());
        let thread = SchedulerThread {
            model: info.name.clone(),
            queue: Arc::clone(&queue),
            pool: CachePool::new(Arc::clone(&index), store.clone()),
            config: SchedulerConfig {
                kv_budget_bytes: settings.kv_budget_bytes,
                prompt_chunk: tuning.prompt_chunk,
                #[cfg(test)]
                before_step: tuning.before_step,
            },
        };
        let runner_format = Arc::clone(&format);
        let scheduler = thread.spawn(move || {
            let model = LlamaModel::load(files, &device, settings.quantise)?;
            let runner = ModelRunner::new(model, runner_format, defaults);
            #[cfg(test)]
            let runner = runner.with_hook(tuning.in_step);
            Ok(runner)
        })?;
        Ok(Self {
            info,
            defaults,
            format,
            queue,
            index,
            store,
            channel_events: tuning.channel_events,
            scheduler: Some(scheduler),
        })
    }
}

/// Opens the model's files, and checks the settings against them.
fn open_model(settings: &BurnEngineSettings, never_stops: bool) -> Result<Arc<ModelFiles>, BurnEngineError> {
    let mut files = ModelFiles::open(&settings.model).map_err(|source| BurnEngineError::OpenModel {
        path: settings.model.clone(),
        source,
    })?;
    if never_stops {
        // No token has this id: a vocabulary is smaller.
        files.config.stop_ids = vec![u32::MAX];
    }
    settings.check(files.config.context_tokens)?;
    Ok(Arc::new(files))
}

fn model_info(settings: &BurnEngineSettings, files: &ModelFiles, defaults: Defaults) -> ModelInfo {
    ModelInfo {
        name: settings.name.clone(),
        fingerprint: files.fingerprint().to_owned(),
        context_tokens: defaults.context_tokens,
        sink_tokens: defaults.sink_tokens,
        window_tokens: defaults.window_tokens,
        context: ContextPolicy::Rolling,
        // Chat templates are rendered a segment at a time, and no segment has a template's tool part yet.
        tools: false,
    }
}

/// Opens the folder of caches on disk, if the settings name one and caches are in f16.
fn open_cache_store(
    settings: &BurnEngineSettings,
    files: &ModelFiles,
    device: &ComputeDevice,
    index: &Arc<CacheIndex>,
) -> Result<Option<Arc<CacheStore>>, BurnEngineError> {
    let cache_store = settings.cache_store.clone().filter(|_| device.keeps_f16_caches());
    let Some(cache_store) = cache_store else {
        return Ok(None);
    };
    let model = match quantised_at_load(files, device, settings.quantise) {
        // With other weights, the same tokens leave other keys and values.
        Some(blocks) => format!("{}-{blocks}", files.fingerprint()),
        None => files.fingerprint().to_owned(),
    };
    let store = CacheStore::open(cache_store, &model, index)?;
    Ok(Some(Arc::new(store)))
}

/// Settings for tests and benchmarks only.
pub(crate) struct Tuning {
    /// Lets no token end an answer.
    pub(crate) never_stops: bool,
    pub(crate) channel_events: usize,
    /// Tokens of prompts that are read in a step.
    pub(crate) prompt_chunk: usize,
    #[cfg(test)]
    pub(crate) before_step: Option<crate::scheduler::StepHook>,
    #[cfg(test)]
    pub(crate) in_step: Option<crate::scheduler::BatchHook>,
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
        self.queue.readiness()
    }

    fn generate(&self, request: Request) -> Result<Generation, EngineError> {
        if !request.tools.is_empty() {
            let reason = format!("model {:?} can't be offered tools", self.info.name);
            return Err(EngineError::InvalidRequest { reason });
        }
        let (emitter, generation) = channel(self.channel_events);
        self.queue
            .submit(QueuedRequest::new(request, emitter))
            .map_err(|error| error.into_engine_error(&self.info.name))?;
        Ok(generation)
    }

    fn cached_through(&self, conversation: &str) -> Option<TurnTag> {
        self.index.cached_through(conversation)
    }

    fn forget(&self, conversation: &str) {
        // The file goes at once, so that a crash doesn't bring it back; what the scheduler still writes of it, it
        // removes.
        let forgotten = match &self.store {
            Some(store) => store.forget(conversation),
            None => self.index.forget(conversation),
        };
        if forgotten.in_memory {
            self.queue.forget(conversation);
        }
    }

    fn cache_bytes(&self) -> u64 {
        self.index.memory_bytes()
    }

    /// Renders a prompt. With [`Request::continues_from`], it has the messages alone: what precedes them is in the
    /// cache.
    fn render(&self, request: &Request) -> Result<RenderedPrompt, EngineError> {
        let (mut prompt, mut room_tokens) = (Prompt::default(), u64::MAX);
        if request.continues_from.is_none() {
            prompt = self.format.system(request.system.as_deref())?;
            room_tokens = history_room(self.defaults.cache_policy(&request.options, prompt.ids.len() as u64)?);
        }
        self.format
            .append_history(&mut prompt, &request.messages, room_tokens)?;
        self.format
            .rendered(prompt, request.system.as_deref(), &request.messages)
    }
}

impl Drop for BurnEngine {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(scheduler) = self.scheduler.take() {
            // The panic hook has reported a panic of the thread; nothing is left to do about it.
            drop(scheduler.join());
        }
    }
}
