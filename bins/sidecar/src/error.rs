//! The errors that keep the sidecar from starting or serving, or stop a command.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// The error that stops a command; printed with its causes.
pub(crate) type CommandError = Box<dyn std::error::Error + Send + Sync>;

/// Why the settings could not be used.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The file named on the command line doesn't exist.
    #[error("settings file {path:?} not found")]
    NoEnvFile {
        /// The file.
        path: PathBuf,
    },
    /// The settings file can't be read.
    #[error("cannot read settings file {path:?}")]
    ReadEnvFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of the settings file is not a setting.
    #[error("{}:{line}: {reason}", path.display())]
    BadLine {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A setting's value is out of range or malformed.
    #[error("{name}={value:?} (from {origin}): {reason}")]
    BadValue {
        /// The setting's full name.
        name: String,
        /// The value.
        value: String,
        /// File and line, or the environment.
        origin: String,
        /// What was expected.
        reason: String,
    },
    /// The sources can't be read as text.
    #[error("cannot read the settings: {reason}")]
    Unreadable {
        /// Why.
        reason: String,
    },
}

/// Why the folder to work in can't be used.
#[derive(Debug, Error)]
pub enum HomeError {
    /// It can't be made or entered.
    #[error("cannot work in {folder:?}")]
    Enter {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why a setting names no usable model.
#[derive(Debug, Error)]
pub enum ModelChoiceError {
    /// A local model is needed, and this name belongs to a model server.
    #[error("model {model:?} is one of the {driver} driver, and a local model is needed here")]
    Remote {
        /// The model.
        model: String,
        /// The driver of that server.
        driver: &'static str,
    },
    /// There is no such file or folder.
    #[error("model {model:?} not found: it is neither a path nor a name in {}, where there is: {available}", folders.join(", "))]
    NotFound {
        /// The model.
        model: String,
        /// The folders of named models.
        folders: Vec<String>,
        /// The names that exist.
        available: String,
    },
}

/// Why the sidecar could not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The settings can't be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The model can't be found.
    #[error(transparent)]
    ModelChoice(#[from] ModelChoiceError),
    /// Everyone on the network could use the sidecar.
    #[error(
        "STREAMING_LLM_HOST={host:?} is reachable from other machines: set STREAMING_LLM_API_KEY, or STREAMING_LLM_ALLOW_INSECURE=1 to serve everyone"
    )]
    Exposed {
        /// The host.
        host: String,
    },
    /// The host's name has no address.
    #[error("cannot resolve STREAMING_LLM_HOST={host:?}")]
    Resolve {
        /// The host.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The port can't be bound.
    #[error("cannot listen on {address}")]
    Listen {
        /// Address and port.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// A folder can't be created.
    #[error("cannot make folder {path:?}")]
    MakeFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another sidecar uses the data folder.
    #[error("another sidecar uses the data folder {path:?}: stop it, or set STREAMING_LLM_DATA_DIR to another folder")]
    DataInUse {
        /// The folder.
        path: PathBuf,
    },
    /// The data folder can't be locked.
    #[error("cannot lock {path:?}")]
    LockData {
        /// The lock's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The log file can't be opened.
    #[error("cannot write logs to {path:?}: {reason}")]
    Logs {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The agents' folder can't be opened.
    #[error("cannot open the agents")]
    Agents(#[from] agent_store::AgentStoreError),
    /// The conversations can't be opened.
    #[error("cannot open the conversations")]
    Conversations(#[from] conversation_store::StoreError),
    /// Turns that the last process left running can't be ended.
    #[error("cannot end the turns of the last process")]
    Recover(#[from] chat::ChatError),
    /// A model belongs to a server that the settings don't name.
    #[error("model {model:?} needs a server: set STREAMING_LLM_OPENAI_URL")]
    NoServer {
        /// The model.
        model: String,
    },
    /// Two local models are configured, and only one is loaded in this process.
    #[error(
        "STREAMING_LLM_MODEL and STREAMING_LLM_MODELS name two local models, {first:?} and {second:?}: only one is loaded"
    )]
    TwoLocalModels {
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// A model server's address or key can't be used.
    #[error("{setting}: {source}")]
    Server {
        /// The setting's full name.
        setting: &'static str,
        /// What is wrong with it.
        source: upstream::UpstreamError,
    },
    /// The narrator's relay can't be used, or its folders can't be created.
    #[error("cannot start the narrator")]
    Narrator(#[from] relay::NarratorError),
    /// The server can't run.
    #[error("cannot serve")]
    Serve {
        /// Why.
        source: io::Error,
    },
    /// The local engine can't start.
    #[error(transparent)]
    Engine(#[from] engine_burn::BurnEngineError),
}
