//! Python wheels (the binary distribution format of PyPA): a zip file with metadata and a list of checksums.
//!
//! The program lies in the wheel's `scripts`, which installers put beside the interpreter; `share` in its `data`, which
//! they put below the environment's root. So `bin/sidecar` and `share/streaming-llm-sidecar` end up beside each other.

use std::{
    fmt::Write as _,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{
    MODEL_PACKAGE, PACKAGE,
    error::{Context as _, DistError, Result},
    payload::{Model, PackedFile, Program},
    platform::Platform,
};

/// The second command of the program's wheel: the program itself is only once in it.
const LAUNCHER: &str = r#""""The command `streaming-llm-sidecar`: another name of the program `sidecar` beside it."""

import os
import sys
import sysconfig


def main() -> None:
    program = os.path.join(os.path.dirname(os.path.realpath(sys.argv[0])), "sidecar")
    if not os.path.exists(program):
        program = os.path.join(sysconfig.get_path("scripts"), "sidecar")
    os.execv(program, [program, *sys.argv[1:]])
"#;

/// A wheel to be written.
struct Wheel<'a> {
    /// The package's name.
    name: &'a str,
    version: &'a str,
    /// `py3-none-` and the platform.
    tag: String,
    /// The lines of the metadata behind name and version.
    metadata: String,
    files: Vec<PackedFile>,
}

/// Writes the wheel of the program.
pub(crate) fn write_program(out: &Path, program: &Program, platform: &Platform) -> Result<PathBuf> {
    let version = program.version.as_str();
    let data = data_folder(PACKAGE, version);
    let mut files = vec![
        PackedFile::new(format!("{}/__init__.py", module(PACKAGE)), LAUNCHER),
        PackedFile::new(
            format!("{}/__main__.py", module(PACKAGE)),
            format!("from {} import main\n\nmain()\n", module(PACKAGE)),
        ),
        program.executable(&format!("{data}/scripts")),
        PackedFile::new(
            format!("{}/entry_points.txt", info_folder(PACKAGE, version)),
            format!("[console_scripts]\n{PACKAGE} = {}:main\n", module(PACKAGE)),
        ),
    ];
    files.extend(program.texts.iter().map(|file| below(&data, file)));
    let metadata = format!(
        "Summary: Streaming chat with a local language model, for every application on a machine\n\
         License: MIT OR Apache-2.0\n\
         Requires-Python: >=3.8\n\
         Provides-Extra: model\n\
         Requires-Dist: {MODEL_PACKAGE}=={version} ; extra == \"model\"\n"
    );
    let tag = format!("py3-none-{}", platform.wheel_tag);
    Wheel {
        name: PACKAGE,
        version,
        tag,
        metadata,
        files,
    }
    .write(out)
}

/// Writes the wheel of the model: only files.
pub(crate) fn write_model(out: &Path, model: &Model) -> Result<PathBuf> {
    let data = data_folder(MODEL_PACKAGE, &model.version);
    Wheel {
        name: MODEL_PACKAGE,
        version: &model.version,
        tag: "py3-none-any".to_owned(),
        metadata: "Summary: SmolLM2-135M-Instruct in Q4_1, the default model of streaming-llm-sidecar\n\
                   License: Apache-2.0\n"
            .to_owned(),
        files: model.files.iter().map(|file| below(&data, file)).collect(),
    }
    .write(out)
}

impl Wheel<'_> {
    fn write(mut self, out: &Path) -> Result<PathBuf> {
        let (module, info) = (module(self.name), info_folder(self.name, self.version));
        let path = out.join(format!("{module}-{}-{}.whl", self.version, self.tag));
        let header = format!(
            "Metadata-Version: 2.1\nName: {}\nVersion: {}\n",
            self.name, self.version
        );
        let wheel = format!(
            "Wheel-Version: 1.0\nGenerator: sidecar-dist\nRoot-Is-Purelib: false\nTag: {}\n",
            self.tag
        );
        self.files
            .push(PackedFile::new(format!("{info}/METADATA"), header + &self.metadata));
        self.files.push(PackedFile::new(format!("{info}/WHEEL"), wheel));
        let record = record(&self.files, &format!("{info}/RECORD"));
        self.files.push(PackedFile::new(format!("{info}/RECORD"), record));
        let file = File::create(&path).while_trying("create", &path)?;
        let mut zip = ZipWriter::new(file);
        for packed in &self.files {
            let options = SimpleFileOptions::DEFAULT
                .compression_method(CompressionMethod::Deflated)
                .unix_permissions(if packed.is_executable { 0o755 } else { 0o644 });
            zip.start_file(packed.path.as_str(), options)
                .map_err(|source| zip_failed(&path, source))?;
            zip.write_all(&packed.bytes).while_trying("write", &path)?;
        }
        zip.finish().map_err(|source| zip_failed(&path, source))?;
        Ok(path)
    }
}

/// The list of all files with their checksums and sizes; it has no checksum of itself.
pub(crate) fn record(files: &[PackedFile], own_path: &str) -> String {
    let mut lines = String::new();
    for file in files {
        let sum = URL_SAFE_NO_PAD.encode(Sha256::digest(&file.bytes));
        // Writing to a string never fails.
        let _ = writeln!(lines, "{},sha256={sum},{}", file.path, file.bytes.len());
    }
    let _ = writeln!(lines, "{own_path},,");
    lines
}

fn below(folder: &str, file: &PackedFile) -> PackedFile {
    PackedFile::new(format!("{folder}/data/{}", file.path), file.bytes.clone())
}

/// A package's name as files and Python modules spell it.
fn module(name: &str) -> String {
    name.replace('-', "_")
}

fn data_folder(name: &str, version: &str) -> String {
    format!("{}-{version}.data", module(name))
}

fn info_folder(name: &str, version: &str) -> String {
    format!("{}-{version}.dist-info", module(name))
}

fn zip_failed(path: &Path, source: zip::result::ZipError) -> DistError {
    DistError::Zip {
        path: path.to_owned(),
        source,
    }
}
