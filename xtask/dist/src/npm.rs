//! npm packages: an archive with a `package.json`, as `npm pack` makes it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{
    MODEL_PACKAGE, PACKAGE,
    error::Result,
    payload::{Model, PackedFile, Program},
    platform::Platform,
    tarball::write_archive,
};

/// Writes the package of the program, with its two commands.
pub(crate) fn write_program(out: &Path, program: &Program, platform: &Platform) -> Result<PathBuf> {
    let mut manifest = json!({
        "name": PACKAGE,
        "version": program.version,
        "description": "Streaming chat with a local language model, for every application on a machine",
        "license": "MIT OR Apache-2.0",
        "bin": { "sidecar": "bin/sidecar", PACKAGE: "bin/sidecar" },
        "os": [platform.npm_os],
        "cpu": [platform.npm_cpu],
    });
    if let Some(libc) = platform.npm_libc {
        manifest["libc"] = json!([libc]);
    }
    let mut files = vec![program.executable("bin")];
    files.extend(program.texts.iter().map(copied));
    let file = format!("{PACKAGE}-{}-{}.tgz", program.version, platform.name);
    write(&out.join(file), &manifest, files)
}

/// Writes the package of the model: only files, which the sidecar finds beside its own package.
pub(crate) fn write_model(out: &Path, model: &Model) -> Result<PathBuf> {
    let manifest = json!({
        "name": MODEL_PACKAGE,
        "version": model.version,
        "description": "SmolLM2-135M-Instruct in Q4_1, the default model of streaming-llm-sidecar",
        "license": "Apache-2.0",
    });
    let file = format!("{MODEL_PACKAGE}-{}.tgz", model.version);
    write(&out.join(file), &manifest, model.files.iter().map(copied).collect())
}

fn write(path: &Path, manifest: &Value, mut files: Vec<PackedFile>) -> Result<PathBuf> {
    files.insert(0, PackedFile::new("package.json", format!("{manifest:#}\n")));
    write_archive(path, "package", files.iter())?;
    Ok(path.to_owned())
}

fn copied(file: &PackedFile) -> PackedFile {
    PackedFile::new(file.path.clone(), file.bytes.clone())
}
