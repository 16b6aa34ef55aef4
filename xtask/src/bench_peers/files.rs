//! The default model in other block types, made once from its own file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::half_made;
use crate::{
    error::{Context as _, Result},
    process::{command, run},
    test::python::PythonTools,
    workspace::Workspace,
};

/// Makes a file of another type, below the root.
const REQUANTISE: &str = "fixtures/peers/requantise.py";

/// How the matrices of a file are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// As the default model is published.
    Q4_1,
    /// One byte a weight.
    Q8_0,
    /// As Q4_1, without a minimum.
    Q4_0,
}

impl Format {
    /// Reads a name in either case.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let formats = [Self::Q4_1, Self::Q8_0, Self::Q4_0];
        let found = formats
            .into_iter()
            .find(|format| format.name().eq_ignore_ascii_case(text.trim()));
        found.ok_or_else(|| format!("{text:?} is none of q4_1, q8_0 and q4_0"))
    }

    /// As GGUF calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Q4_1 => "Q4_1",
            Self::Q8_0 => "Q8_0",
            Self::Q4_0 => "Q4_0",
        }
    }
}

/// The file of a format: the original, or one that is made from it in `folder` unless it is there.
pub(super) fn ensure(
    workspace: &Workspace,
    python: &PythonTools<'_>,
    (original, folder): (&Path, &Path),
    format: Format,
) -> Result<PathBuf> {
    if format == Format::Q4_1 {
        return Ok(original.to_owned());
    }
    let name = original.file_stem().unwrap_or_default().to_string_lossy();
    let file = folder.join(format!("{name}.{}.gguf", format.name()));
    if file.is_file() {
        return Ok(file);
    }
    eprintln!("Making {} from {} (seconds, once).", file.display(), original.display());
    let half_made = half_made(&file);
    let script = workspace.root().join(REQUANTISE);
    let mut requantise = command(&python.interpreter(), [script.as_path(), original, &half_made]);
    run(requantise.arg(format.name()))?;
    fs::rename(&half_made, &file).while_trying("rename", &half_made)?;
    Ok(file)
}
