//! Settings: `.env.sidecar` and the environment in, one checked [`Settings`] out.
//!
//! Every name begins with `STREAMING_LLM_`; the environment overrides the file, and an empty value counts as not set.
//! An invalid value stops the start and is named with its source; an unknown name is a warning. Nothing here opens a
//! model, a store or a port.

mod env_file;
mod http_limits;
mod model_choice;
mod reader;
mod relay_choice;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Config, Environment};
use protocol::{ApiKey, Limits};
use relay::NarratorSettings;

pub use env_file::{EnvFile, PREFIX};
pub use http_limits::HttpLimits;
pub use model_choice::{MODELS_DIR, remote_driver, resolve_model};
pub use relay_choice::RelayChoice;

use crate::access::parse_origins;
use crate::error::SettingsError;
use reader::SettingsReader;

/// Where the agents lie unless `AGENTS_DIR` says otherwise.
pub const AGENTS_DIR: &str = ".agents";

/// The file that is read from the working folder when no other is named.
pub const DEFAULT_ENV_FILE: &str = ".env.sidecar";

/// Every setting of the sidecar, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `MODEL`: a path, or a name under `models/`; see [`resolve_model`].
    pub model: String,
    /// `MODELS`: further models that messages may ask for, separated by commas.
    pub models: Vec<String>,
    /// `ENABLE`: streaming with sinks and a rolling window; off is a dense cache.
    pub streaming: bool,
    /// `START_SIZE`: attention sinks, at the least.
    pub start_size: usize,
    /// `RECENT_SIZE`: tokens of the rolling window.
    pub recent_size: usize,
    /// `AGENTS_DIR`: the folder of the agents' Markdown files.
    pub agents_dir: PathBuf,
    /// `MAX_NEW_TOKENS`: the longest answer when a request names no limit.
    pub max_new_tokens: u32,
    /// `OLLAMA_URL`: where an Ollama server answers.
    pub ollama_url: String,
    /// `OPENAI_URL`: where an OpenAI-compatible server answers; without it there is none.
    pub openai_url: Option<String>,
    /// `OPENAI_KEY`: the key of that server.
    pub openai_key: Option<ApiKey>,
    /// `REMOTE_CONTEXT_TOKENS`: how many tokens of a conversation a model server is sent, answer included.
    pub remote_context_tokens: u64,
    /// `HOST`: an address or a name; `localhost` is 127.0.0.1 and `::1`.
    pub host: String,
    /// `PORT`: 0 takes a free one.
    pub port: u16,
    /// `LOG_DIR`: daily JSON Lines files.
    pub log_dir: PathBuf,
    /// `SUMMARY_DIR`: the narrator's summaries.
    pub summary_dir: PathBuf,
    /// `DATA_DIR`: the conversations.
    pub data_dir: PathBuf,
    /// `KV_BUDGET_MB`: limit of the KV caches in memory, in MiB.
    pub kv_budget_mb: u64,
    /// `KV_DISK_MB`: limit of the KV caches in `DATA_DIR/kv`, in MiB; 0 keeps none there.
    pub kv_disk_mb: u64,
    /// `DEVICE`: where the local model runs.
    pub device: Device,
    /// `PRECISION`: the precision of the CPU's computations.
    pub precision: Precision,
    /// `QUANTISE`: the CPU's format for weights in bf16, f16, f32 and in blocks that it can't multiply directly.
    pub quantise: Quantise,
    /// `THREADS`: threads of the local model; `None` leaves the number to the engine.
    pub threads: Option<usize>,
    /// `API_KEY`: the key that clients must present.
    pub api_key: Option<ApiKey>,
    /// `ALLOW_INSECURE`: a non-loopback address without a key.
    pub allow_insecure: bool,
    /// `ALLOWED_ORIGINS`: origins of pages that are admitted beside those of this machine.
    pub allowed_origins: Vec<String>,
    /// `RATE_PER_MINUTE`: sockets and turns that one address may start, and wrong keys that it may present; 0 is no
    /// limit, `None` no limit on loopback.
    pub rate_per_minute: Option<u32>,
    /// `DRAIN_SECONDS`: how long running turns may go on after a signal to stop.
    pub drain: Duration,
    /// `RELAY`: which relay answers for narrators.
    pub relay: RelayChoice,
    /// `SUMMARY_REFRESH`, and what has no name in the environment: how long a relay may take, and the clock of leases.
    pub narrator: NarratorSettings,
    /// Limits that have no name in the environment; tests shorten them to reach them.
    pub limits: Limits,
    /// Limits of plain HTTP, which have no name in the environment either.
    pub http: HttpLimits,
    /// The time between two pings, [`PING_PERIOD`] by default.
    pub ping_period: Duration,
}

/// Where the local model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// A hardware GPU if there is one, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU; without one the start fails.
    Gpu,
}

/// The precision of the CPU's computations with a quantised model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// The fastest.
    Auto,
    /// f32.
    F32,
}

/// The CPU's format for weights that it can't multiply as they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantise {
    /// The engine's choice.
    Auto,
    /// f32.
    Off,
    /// 8-bit blocks.
    Q8_0,
    /// 4-bit blocks.
    Q4_0,
}

/// Between two pings to one socket; a peer that is silent for two of them counts as lost. Below the idle timeout of
/// usual proxies (60 s).
pub const PING_PERIOD: Duration = Duration::from_secs(30);

/// `DRAIN_SECONDS` by default: most answers have ended by then, and it is below the 30 s that Kubernetes waits before
/// it kills.
const DRAIN_SECONDS: u64 = 20;

/// Settings, and warnings about their sources.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// One line for each unknown name.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Reads the environment and a file: `env_file`, which must exist, or [`DEFAULT_ENV_FILE`], which may be missing.
    ///
    /// # Errors
    /// A file that can't be read, or an invalid value, named with its source.
    pub fn load(env_file: Option<&Path>) -> Result<Loaded, SettingsError> {
        let file = match env_file {
            Some(path) => {
                let missing = || SettingsError::NoEnvFile { path: path.to_owned() };
                Some(EnvFile::read(path)?.ok_or_else(missing)?)
            }
            None => EnvFile::read(Path::new(DEFAULT_ENV_FILE))?,
        };
        Self::from_sources(file, None)
    }

    /// Reads a file's settings and an environment; `None` is the process' own.
    ///
    /// # Errors
    /// An invalid value, named with its source.
    pub fn from_sources(
        file: Option<EnvFile>,
        environment: Option<HashMap<String, String>>,
    ) -> Result<Loaded, SettingsError> {
        let unreadable = |error: config::ConfigError| SettingsError::Unreadable {
            reason: error.to_string(),
        };
        let mut builder = Config::builder();
        if let Some(file) = file {
            builder = builder.add_source(file);
        }
        let prefix = PREFIX.trim_end_matches('_');
        let environment = Environment::with_prefix(prefix).ignore_empty(true).source(environment);
        let config = builder.add_source(environment).build().map_err(unreadable)?;
        let mut reader = SettingsReader::new(config.cache.into_table().map_err(unreadable)?);
        // It says where the other settings are, so it was read before them, from the environment alone; in the file it
        // is named as ignored.
        reader.skip_variable("HOME");
        let settings = read_all(&mut reader)?;
        Ok(Loaded {
            settings,
            warnings: reader.into_warnings(),
        })
    }
}

/// Reads every known name, in the order of the documentation.
fn read_all(reader: &mut SettingsReader) -> Result<Settings, SettingsError> {
    Ok(Settings {
        model: reader.text("MODEL", "smollm2-135m-instruct")?,
        models: reader.list("MODELS")?,
        streaming: reader.switch("ENABLE", true)?,
        start_size: reader.number("START_SIZE", 4, 1..=1 << 20)?,
        recent_size: reader.number("RECENT_SIZE", 2_048, 1..=1 << 24)?,
        agents_dir: reader.text("AGENTS_DIR", AGENTS_DIR)?.into(),
        max_new_tokens: reader.number("MAX_NEW_TOKENS", 512, 1..=Limits::default().max_new_tokens)?,
        ollama_url: reader.url("OLLAMA_URL", "http://localhost:11434")?,
        openai_url: reader.optional_url("OPENAI_URL")?,
        openai_key: reader.secret("OPENAI_KEY")?.map(ApiKey::new),
        remote_context_tokens: reader.number("REMOTE_CONTEXT_TOKENS", 8_192, 512..=1 << 20)?,
        host: reader.text("HOST", "localhost")?,
        port: reader.number("PORT", 8_000, 0..=u16::MAX)?,
        log_dir: reader.text("LOG_DIR", "./data/logs")?.into(),
        summary_dir: reader.text("SUMMARY_DIR", "./data/summaries")?.into(),
        data_dir: reader.text("DATA_DIR", "./data")?.into(),
        kv_budget_mb: reader.number("KV_BUDGET_MB", 1_024, 1..=1 << 24)?,
        kv_disk_mb: reader.number("KV_DISK_MB", 2_048, 0..=1 << 24)?,
        device: reader.choice(
            "DEVICE",
            &[("auto", Device::Auto), ("cpu", Device::Cpu), ("gpu", Device::Gpu)],
        )?,
        precision: reader.choice("PRECISION", &[("auto", Precision::Auto), ("f32", Precision::F32)])?,
        quantise: reader.choice(
            "QUANTISE",
            &[
                ("auto", Quantise::Auto),
                ("off", Quantise::Off),
                ("q8_0", Quantise::Q8_0),
                ("q4_0", Quantise::Q4_0),
            ],
        )?,
        threads: reader.optional_number("THREADS", 1..=1_024)?,
        api_key: reader.secret("API_KEY")?.map(ApiKey::new),
        allow_insecure: reader.switch("ALLOW_INSECURE", false)?,
        allowed_origins: reader.parsed("ALLOWED_ORIGINS", parse_origins)?.unwrap_or_default(),
        rate_per_minute: reader.optional_number("RATE_PER_MINUTE", 0..=1_000_000)?,
        drain: Duration::from_secs(reader.number("DRAIN_SECONDS", DRAIN_SECONDS, 0..=3_600)?),
        relay: reader.parsed("RELAY", RelayChoice::parse)?.unwrap_or(RelayChoice::Chat),
        narrator: NarratorSettings {
            summary_refresh: reader.number("SUMMARY_REFRESH", 5, 1..=100)?,
            ..NarratorSettings::default()
        },
        limits: Limits::default(),
        http: HttpLimits::default(),
        ping_period: PING_PERIOD,
    })
}
