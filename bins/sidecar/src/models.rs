//! The models that may answer: settings in, the local model and those of model servers out.
//!
//! A remote model is only opened here; whether its server has it, or runs at all, is found out with the first request.

use std::sync::Arc;

use chat::{Models, ModelsBuilder};
use engine::{Engine, EngineError, Readiness};
use engine_ollama::OllamaServer;
use engine_openai::OpenAiServer;
use protocol::{Model, ModelList};
use tokio::runtime::Handle;
use upstream::{ServerModel, UpstreamError};

use crate::error::StartError;
use crate::local_engine;
use crate::settings::{Settings, remote_driver};

/// The models that may answer, and the servers that list further ones.
#[derive(Debug, Clone)]
pub struct Engines {
    pub(crate) models: Models,
    ollama: Option<OllamaServer>,
    openai: Option<OpenAiServer>,
}

impl<E: Engine + 'static> From<Arc<E>> for Engines {
    /// Wraps a single engine.
    fn from(engine: Arc<E>) -> Self {
        Models::from(engine).into()
    }
}

impl From<Arc<dyn Engine>> for Engines {
    /// Wraps a single engine: for tests and for programs that embed the sidecar.
    fn from(engine: Arc<dyn Engine>) -> Self {
        Models::from(engine).into()
    }
}

impl From<Models> for Engines {
    /// Uses these models; their servers are not asked for further ones.
    fn from(models: Models) -> Self {
        Self {
            models,
            ollama: None,
            openai: None,
        }
    }
}

impl Engines {
    /// Opens the models that the settings name. Must be called in the runtime on which turns run.
    ///
    /// # Errors
    /// The local model doesn't exist or is damaged; a server's address is malformed; two local models are configured.
    pub fn open(settings: &Settings) -> Result<Self, StartError> {
        let (ollama, openai) = servers(settings)?;
        if openai.is_none() {
            check_no_openai(settings)?;
        }
        let mut models = Models::builder(&settings.model);
        let remote = settings.models.iter().filter(|model| remote_driver(model).is_some());
        let mut allowed: Vec<String> = remote.cloned().collect();
        if let Some(local) = local_model(settings)? {
            let engine = local_engine::start(settings, local)?;
            // A path is known to clients by its model's name.
            let name = engine.model().name;
            if local == settings.model {
                models = Models::builder(&name);
            }
            models = models.local(engine);
            allowed.push(name);
        }
        Ok(Self {
            models: with_drivers(models, &ollama, openai.as_ref()).allow(allowed).build(),
            ollama: Some(ollama),
            openai,
        })
    }
}

/// Returns the one model that is loaded in this process, if the settings name one.
fn local_model(settings: &Settings) -> Result<Option<&str>, StartError> {
    let named = std::iter::once(&settings.model).chain(&settings.models);
    let mut local = named.map(String::as_str).filter(|model| remote_driver(model).is_none());
    let first = local.next();
    match local.find(|model| Some(*model) != first) {
        Some(second) => Err(StartError::TwoLocalModels {
            first: first.unwrap_or_default().to_owned(),
            second: second.to_owned(),
        }),
        None => Ok(first),
    }
}

/// Refuses models of an OpenAI-compatible server, since none is configured.
fn check_no_openai(settings: &Settings) -> Result<(), StartError> {
    let mut named = std::iter::once(&settings.model).chain(&settings.models);
    match named.find(|model| remote_driver(model) == Some("openai")) {
        Some(model) => Err(StartError::NoServer { model: model.clone() }),
        None => Ok(()),
    }
}

fn servers(settings: &Settings) -> Result<(OllamaServer, Option<OpenAiServer>), StartError> {
    let named = |setting| move |source: UpstreamError| StartError::Server { setting, source };
    let server = |key| upstream::Settings {
        key,
        context_tokens: settings.remote_context_tokens,
        ..upstream::Settings::default()
    };
    let ollama = OllamaServer::new(&settings.ollama_url, server(None), Handle::current());
    let ollama = ollama.map_err(named("STREAMING_LLM_OLLAMA_URL"))?;
    let Some(url) = &settings.openai_url else {
        return Ok((ollama, None));
    };
    let key = settings.openai_key.as_ref();
    let key = key.map(|key| upstream::ApiKey::new(key.expose())).transpose();
    let key = key.map_err(named("STREAMING_LLM_OPENAI_KEY"))?;
    let openai = OpenAiServer::new(url, server(key), Handle::current());
    Ok((ollama, Some(openai.map_err(named("STREAMING_LLM_OPENAI_URL"))?)))
}

fn with_drivers(models: ModelsBuilder, ollama: &OllamaServer, openai: Option<&OpenAiServer>) -> ModelsBuilder {
    let (ollama, openai) = (ollama.clone(), openai.cloned());
    let open_ollama = move |name: &str| Ok(ollama.engine(name));
    let open_openai = move |name: &str| {
        let server = openai.as_ref().ok_or("STREAMING_LLM_OPENAI_URL is not set")?;
        Ok(server.engine(name))
    };
    models
        .driver("ollama", Box::new(open_ollama))
        .driver("openai", Box::new(open_openai))
        .tags_by("ollama")
}

impl Engines {
    /// Returns whether the default model can answer; a remote one counts as ready until it is asked.
    pub(crate) fn readiness(&self) -> Readiness {
        match self.models.engine(self.models.default_model()) {
            Ok(engine) => engine.readiness(),
            Err(error) => Readiness::Failed(error.to_string()),
        }
    }

    /// Lists every model that messages may ask for, and those that the servers have beside them. Servers are asked
    /// concurrently, each with its own timeout.
    pub(crate) async fn list(&self) -> ModelList {
        let (ollama, openai) = tokio::join!(
            async { await_option(self.ollama.as_ref().map(OllamaServer::models)).await },
            async { await_option(self.openai.as_ref().map(OpenAiServer::models)).await },
        );
        let mut models: Vec<Model> = Vec::new();
        for name in self.models.allowed() {
            models.push(match self.models.driver(name) {
                "ollama" => remote_model(name, "ollama", &ollama),
                "openai" => remote_model(name, "openai", &openai),
                _ => self.describe_local(name),
            });
        }
        for (driver, listed) in [("ollama", ollama), ("openai", openai)] {
            for model in listed.and_then(Result::ok).unwrap_or_default() {
                let name = format!("{driver}:{}", model.name);
                if !models.iter().any(|known| is_same_model(&known.model, &name)) {
                    models.push(Model {
                        model: name,
                        driver: driver.to_owned(),
                        allowed: false,
                        available: true,
                        loaded: model.loaded,
                        reason: None,
                    });
                }
            }
        }
        ModelList {
            default_model: self.models.default_model().to_owned(),
            models,
        }
    }

    fn describe_local(&self, name: &str) -> Model {
        let (available, loaded, reason) = match self.models.engine(name).map(|engine| engine.readiness()) {
            Ok(Readiness::Ready) => (true, true, None),
            Ok(Readiness::Loading) => (true, false, None),
            Ok(Readiness::Failed(reason)) => (false, false, Some(reason)),
            Err(error) => (false, false, Some(error.to_string())),
        };
        Model {
            model: name.to_owned(),
            driver: "local".to_owned(),
            allowed: true,
            available,
            loaded: Some(loaded),
            reason,
        }
    }
}

/// A server's list of models; `None` if there is no such server.
type ServerModels = Option<Result<Vec<ServerModel>, EngineError>>;

async fn await_option<T>(future: Option<impl Future<Output = T>>) -> Option<T> {
    match future {
        Some(future) => Some(future.await),
        None => None,
    }
}

/// Describes an allowed model by its server's list.
fn remote_model(name: &str, driver: &str, listed: &ServerModels) -> Model {
    let (available, loaded, reason) = match listed {
        None => (false, None, Some(format!("there is no {driver} server"))),
        Some(Err(error)) => (false, None, Some(error.to_string())),
        Some(Ok(models)) => {
            let named = models
                .iter()
                .find(|model| is_same_model(name, &format!("{driver}:{}", model.name)));
            let missing = || format!("the {driver} server doesn't have it");
            (
                named.is_some(),
                named.and_then(|model| model.loaded),
                named.is_none().then(missing),
            )
        }
    };
    Model {
        model: name.to_owned(),
        driver: driver.to_owned(),
        allowed: true,
        available,
        loaded,
        reason,
    }
}

/// Compares model names; Ollama's `llama3.2` is its `llama3.2:latest`.
fn is_same_model(requested: &str, listed: &str) -> bool {
    requested == listed || listed.strip_prefix(requested) == Some(":latest")
}
