//! Resolves model names to engines.
//!
//! A name is the local model's own, or has its driver in front: `ollama:llama3.2`. Remote models are opened on first
//! use and stay open. It never asks a server whether it has a model: the engine reports that when it answers.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::{Engine, EngineError, ModelInfo};

/// Remote models that may be open; each costs its name and an idle connection. An agent file that names more is a
/// mistake, and the open ones keep working.
const MAX_OPEN: usize = 256;

/// Creates the engine of one of a driver's models without waiting, or returns why it can't.
pub type OpenModel = Box<dyn Fn(&str) -> Result<Arc<dyn Engine>, String> + Send + Sync>;

/// All models that may answer. Clones share them.
#[derive(Clone)]
pub struct Models {
    inner: Arc<Inner>,
}

/// Builds [`Models`].
pub struct ModelsBuilder {
    inner: Inner,
}

struct Inner {
    /// The full name of the default model.
    default: String,
    local: Option<(String, Arc<dyn Engine>)>,
    drivers: Vec<(&'static str, OpenModel)>,
    /// The driver of names with a tag and no driver, such as `llama3.2:1b`.
    tag_driver: Option<&'static str>,
    allowed: Vec<String>,
    open: Mutex<HashMap<String, Arc<dyn Engine>>>,
}

impl Models {
    /// Returns a builder with the model that answers when no other is requested.
    #[must_use]
    pub fn builder(default: impl Into<String>) -> ModelsBuilder {
        ModelsBuilder {
            inner: Inner {
                default: default.into(),
                local: None,
                drivers: Vec::new(),
                tag_driver: None,
                allowed: Vec::new(),
                open: Mutex::default(),
            },
        }
    }

    /// Returns the model that answers when no other is requested.
    #[must_use]
    pub fn default_model(&self) -> &str {
        &self.inner.default
    }

    /// Returns the models that any message may request, the default one first.
    #[must_use]
    pub fn allowed(&self) -> &[String] {
        &self.inner.allowed
    }

    /// Returns true if any message may request the model.
    #[must_use]
    pub fn allows(&self, model: &str) -> bool {
        let model = self.full_name(model);
        self.inner.allowed.contains(&model)
    }

    /// Returns the name with its driver in front; the local model's name is unchanged.
    #[must_use]
    pub fn full_name(&self, model: &str) -> String {
        match (self.inner.driver_of(model), self.inner.tag_driver) {
            (None, Some(driver)) if is_tagged(model) && !self.inner.is_local(model) => format!("{driver}:{model}"),
            _ => model.to_owned(),
        }
    }

    /// Returns the name of a model's driver, or `local`.
    #[must_use]
    pub fn driver(&self, model: &str) -> &'static str {
        let model = self.full_name(model);
        self.inner.driver_of(&model).map_or("local", |(driver, ..)| driver)
    }

    /// Returns the engine of a model; a remote one is opened on first use.
    ///
    /// # Errors
    /// [`EngineError::ModelUnavailable`] for a name that no driver and no local model has, or that its driver refuses.
    pub fn engine(&self, model: &str) -> Result<Arc<dyn Engine>, EngineError> {
        let model = self.full_name(model);
        let Some((_, open, name)) = self.inner.driver_of(&model) else {
            return self.inner.local(&model);
        };
        let mut engines = self.inner.lock();
        if let Some(engine) = engines.get(&model) {
            return Ok(Arc::clone(engine));
        }
        if engines.len() >= MAX_OPEN {
            let reason = format!("{MAX_OPEN} models are open, which is the limit");
            return Err(EngineError::ModelUnavailable { model, reason });
        }
        let opened = open(name).map_err(|reason| {
            let model = model.clone();
            EngineError::ModelUnavailable { model, reason }
        });
        let engine = opened?;
        engines.insert(model, Arc::clone(&engine));
        Ok(engine)
    }

    /// Returns an engine's description of its model; `None` if there is no engine.
    #[must_use]
    pub fn info(&self, model: &str) -> Option<ModelInfo> {
        self.engine(model).ok().map(|engine| engine.model())
    }

    /// Returns the bytes of keys and values that all engines hold.
    #[must_use]
    pub fn cache_bytes(&self) -> u64 {
        let local = self.inner.local.as_ref().map_or(0, |(_, engine)| engine.cache_bytes());
        let remote: u64 = self.inner.lock().values().map(|engine| engine.cache_bytes()).sum();
        local + remote
    }

    /// Drops all that the engines keep of a conversation.
    pub fn forget(&self, conversation: &str) {
        if let Some((_, engine)) = &self.inner.local {
            engine.forget(conversation);
        }
        let open: Vec<_> = self.inner.lock().values().cloned().collect();
        for engine in open {
            engine.forget(conversation);
        }
    }
}

impl Inner {
    /// Splits a full name into its driver, how that opens models, and the rest of the name.
    fn driver_of<'a>(&self, model: &'a str) -> Option<(&'static str, &OpenModel, &'a str)> {
        let (prefix, name) = model.split_once(':')?;
        let (driver, open) = self.drivers.iter().find(|(driver, _)| *driver == prefix)?;
        (!name.is_empty()).then_some((*driver, open, name))
    }

    fn is_local(&self, model: &str) -> bool {
        self.local.as_ref().is_some_and(|(name, _)| name == model)
    }

    fn local(&self, model: &str) -> Result<Arc<dyn Engine>, EngineError> {
        match &self.local {
            Some((name, engine)) if name == model => Ok(Arc::clone(engine)),
            loaded => {
                let reason = match loaded {
                    Some((name, _)) => format!("it is not the local model, {name:?}, and names no driver"),
                    None => "there is no local model, and it names no driver".to_owned(),
                };
                let model = model.to_owned();
                Err(EngineError::ModelUnavailable { model, reason })
            }
        }
    }

    /// Locks the open engines, also after a panic: every change under the lock is complete before anything can panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<dyn Engine>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ModelsBuilder {
    /// Adds the model in this process, under its own name.
    #[must_use]
    pub fn local(mut self, engine: Arc<dyn Engine>) -> Self {
        self.inner.local = Some((engine.model().name, engine));
        self
    }

    /// Adds a driver, which opens models named `driver:NAME`.
    #[must_use]
    pub fn driver(mut self, driver: &'static str, open: OpenModel) -> Self {
        self.inner.drivers.push((driver, open));
        self
    }

    /// Sets the driver of names with a tag and no driver, such as `llama3.2:1b`.
    #[must_use]
    pub fn tags_by(mut self, driver: &'static str) -> Self {
        self.inner.tag_driver = Some(driver);
        self
    }

    /// Adds models that any message may request, beside the default one.
    #[must_use]
    pub fn allow(mut self, models: impl IntoIterator<Item = String>) -> Self {
        self.inner.allowed.extend(models);
        self
    }

    /// Resolves all names and returns the models.
    #[must_use]
    pub fn build(self) -> Models {
        let mut models = Models {
            inner: Arc::new(self.inner),
        };
        let names = std::iter::once(models.default_model()).chain(models.allowed().iter().map(String::as_str));
        let mut allowed: Vec<String> = Vec::new();
        for model in names.map(|model| models.full_name(model)) {
            if !allowed.contains(&model) {
                allowed.push(model);
            }
        }
        let default = models.full_name(models.default_model());
        if let Some(inner) = Arc::get_mut(&mut models.inner) {
            (inner.default, inner.allowed) = (default, allowed);
        }
        models
    }
}

/// Returns true for a name with a tag that isn't a path: one letter in front of a colon is a drive.
fn is_tagged(model: &str) -> bool {
    let tagged = model
        .split_once(':')
        .is_some_and(|(name, tag)| name.len() > 1 && !tag.is_empty());
    tagged && !model.contains(['/', '\\'])
}

impl<E: Engine + 'static> From<Arc<E>> for Models {
    /// Offers this engine only.
    fn from(engine: Arc<E>) -> Self {
        let engine: Arc<dyn Engine> = engine;
        engine.into()
    }
}

impl From<Arc<dyn Engine>> for Models {
    /// Offers this engine only.
    fn from(engine: Arc<dyn Engine>) -> Self {
        Self::builder(engine.model().name).local(engine).build()
    }
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Models")
            .field("default", &self.inner.default)
            .field("allowed", &self.inner.allowed)
            .finish_non_exhaustive()
    }
}
