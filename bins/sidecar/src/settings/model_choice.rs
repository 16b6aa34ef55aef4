//! `STREAMING_LLM_MODEL` in, the path of a local model out.
//!
//! A path is used as it is; a bare name is looked up under `models/`. Names that belong to a model server (`ollama:`,
//! `openai:`, or a tag such as `llama3.2:1b`) are recognised, so that no error asks for a file that was never meant.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::ModelChoiceError;

/// The folder in which bare names are looked up, below the working folder.
pub const MODELS_DIR: &str = "models";

/// Names shown when a model isn't found; more would hide the message.
const MAX_NAMES_SHOWN: usize = 20;

/// Finds the model that a setting names: a GGUF file or a Hugging Face folder. A bare name is looked up in the folders
/// in their order.
///
/// # Errors
/// There is no model of that name, or it belongs to a model server.
pub fn resolve_model(model: &str, folders: &[PathBuf]) -> Result<PathBuf, ModelChoiceError> {
    if let Some(driver) = remote_driver(model) {
        return Err(ModelChoiceError::Remote {
            model: model.to_owned(),
            driver,
        });
    }
    let given = Path::new(model);
    if given.exists() && (model.contains(['/', '\\']) || given.is_file()) {
        return Ok(given.to_owned());
    }
    let is_name = !model.contains(['/', '\\']) && model != "." && model != "..";
    let names = [format!("{model}.gguf"), model.to_owned()];
    let mut candidates = folders
        .iter()
        .flat_map(|folder| names.iter().map(|name| folder.join(name)));
    if is_name && let Some(path) = candidates.find(|path| path.exists()) {
        return Ok(path);
    }
    Err(ModelChoiceError::NotFound {
        model: model.to_owned(),
        folders: folders.iter().map(|folder| folder.display().to_string()).collect(),
        available: available_models(folders),
    })
}

/// Returns the driver of the model server that a name belongs to, if any.
#[must_use]
pub fn remote_driver(model: &str) -> Option<&'static str> {
    match model.split_once(':') {
        Some(("openai", _)) => Some("openai"),
        Some(("ollama", _)) => Some("ollama"),
        // One letter before a colon is a drive, not a model.
        Some((name, _)) if name.len() > 1 && !model.contains(['/', '\\']) => Some("ollama"),
        Some(_) | None => None,
    }
}

/// Lists the names that would be found, sorted, for the error.
fn available_models(folders: &[PathBuf]) -> String {
    let entries = folders.iter().flat_map(fs::read_dir).flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.path().is_dir();
            name.strip_suffix(".gguf")
                .map(str::to_owned)
                .or_else(|| is_folder.then_some(name))
        })
        .collect();
    names.sort();
    names.dedup();
    match names.len() {
        0 => "nothing".to_owned(),
        count if count > MAX_NAMES_SHOWN => format!(
            "{} and {} more",
            names[..MAX_NAMES_SHOWN].join(", "),
            count - MAX_NAMES_SHOWN
        ),
        _ => names.join(", "),
    }
}
