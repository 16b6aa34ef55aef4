//! The only link between the binary and the local engine: settings in, an engine or a loaded model out.

use std::path::Path;
use std::sync::Arc;

use engine::Engine;
use engine_burn::{
    BurnEngine, BurnEngineSettings, CacheStoreSettings, ComputeDevice, DeviceChoice, LlamaModel,
    Precision as EnginePrecision, Quantise as EngineQuantise,
};
use model_files::ModelFiles;

use crate::error::StartError;
use crate::home::{is_installed, model_folders};
use crate::settings::{Device, Precision, Quantise, Settings, resolve_model};

/// The folder in `DATA_DIR` for caches of conversations.
const KV_DIR: &str = "kv";

/// Starts the engine of a local model. The model's header is checked at once; its weights load in the background.
///
/// # Errors
/// The model doesn't exist, its files are damaged, or the configured cache doesn't fit it.
pub fn start(settings: &Settings, model: &str) -> Result<Arc<dyn Engine>, StartError> {
    let model = resolve_model(model, &model_folders())?;
    tracing::info!(model = %model.display(), "loading the model");
    if settings.device == Device::Auto && !cfg!(feature = "gpu") && has_gpu() {
        let how = if is_installed() {
            "`cargo xtask dist --gpu`, in a checkout, packs a sidecar with it"
        } else {
            "`STREAMING_LLM_DEVICE=gpu ./scripts/run-sidecar.sh` or `cargo build --features gpu` builds it"
        };
        tracing::warn!("there is a GPU, but the engine for it isn't built in, so the model runs on the CPU; {how}");
    }
    let mut engine = engine_settings(settings, &model);
    engine.cache_store = cache_store(settings);
    Ok(Arc::new(BurnEngine::start(engine)?))
}

/// Returns true where the system shows a GPU, as `scripts/run-sidecar.sh` looks for one. Whether it can compute is
/// found out by the engine for it.
fn has_gpu() -> bool {
    let any = |folder: &str, start: &str| {
        let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.any(|entry| entry.file_name().to_string_lossy().starts_with(start))
    };
    cfg!(target_os = "macos") || any("/dev/dri", "renderD") || any("/dev", "nvidia")
}

/// Returns where caches are kept across restarts; `None` if the settings keep none.
fn cache_store(settings: &Settings) -> Option<CacheStoreSettings> {
    (settings.kv_disk_mb > 0).then(|| CacheStoreSettings {
        folder: settings.data_dir.join(KV_DIR),
        budget_bytes: settings.kv_disk_mb << 20,
    })
}

/// Translates the settings for the engine of the model at `path`, whose name for users is that of its file or folder.
/// The engine keeps nothing on disk.
pub fn engine_settings(settings: &Settings, path: &Path) -> BurnEngineSettings {
    let name = path.file_stem().unwrap_or(path.as_os_str());
    BurnEngineSettings {
        model: path.to_owned(),
        name: name.to_string_lossy().into_owned(),
        device: device(settings.device),
        precision: precision(settings.precision),
        quantise: quantise(settings.quantise),
        threads: settings.threads,
        streaming: settings.streaming,
        start_size: settings.start_size,
        recent_size: settings.recent_size,
        kv_budget_bytes: usize::try_from(settings.kv_budget_mb << 20).unwrap_or(usize::MAX),
        cache_store: None,
    }
}

/// Loads a model for an evaluation: nothing is served, so only device, precision, threads and quantisation are used of
/// the settings.
///
/// # Errors
/// The files are damaged, or the device isn't available.
pub fn load(path: &Path, settings: &Settings) -> Result<LlamaModel, StartError> {
    let files = ModelFiles::open(path).map_err(|source| engine_burn::BurnEngineError::OpenModel {
        path: path.to_owned(),
        source,
    })?;
    let device = ComputeDevice::open(device(settings.device), precision(settings.precision), settings.threads)?;
    Ok(LlamaModel::load(Arc::new(files), &device, quantise(settings.quantise))?)
}

fn device(device: Device) -> DeviceChoice {
    match device {
        Device::Auto => DeviceChoice::Auto,
        Device::Cpu => DeviceChoice::Cpu,
        Device::Gpu => DeviceChoice::Gpu,
    }
}

fn precision(precision: Precision) -> EnginePrecision {
    match precision {
        Precision::Auto => EnginePrecision::Auto,
        Precision::F32 => EnginePrecision::F32,
    }
}

fn quantise(quantise: Quantise) -> EngineQuantise {
    match quantise {
        Quantise::Auto => EngineQuantise::Auto,
        Quantise::Off => EngineQuantise::Off,
        Quantise::Q8_0 => EngineQuantise::Q8_0,
        Quantise::Q4_0 => EngineQuantise::Q4_0,
    }
}
