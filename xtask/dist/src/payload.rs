//! What the packages have in common: the stripped program with its texts, and the model with its licence.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Arguments, SHARE,
    error::{Context as _, Result},
    licences,
    process::run,
};

/// The model's name in settings; its file in the packages is called after it.
const MODEL_NAME: &str = "smollm2-135m-instruct";

/// One file of a package.
pub(crate) struct PackedFile {
    /// Below the package's root, with `/` between folders.
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_executable: bool,
}

impl PackedFile {
    /// A file that isn't a program.
    pub(crate) fn new(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            bytes: bytes.into(),
            is_executable: false,
        }
    }
}

/// The program, ready to be packed.
pub(crate) struct Program {
    /// Without symbols.
    pub(crate) bytes: Vec<u8>,
    /// As the manifest says.
    pub(crate) version: String,
    /// Licences, an example of the settings, a systemd unit: below [`SHARE`].
    pub(crate) texts: Vec<PackedFile>,
}

impl Program {
    /// Strips the program and collects the texts that belong to it.
    pub(crate) fn read(arguments: &Arguments) -> Result<Self> {
        let root = &arguments.root;
        let metadata = licences::metadata(root)?;
        let licences = licences::text(root, &arguments.features, &metadata)?;
        let mut texts = vec![PackedFile::new(format!("{SHARE}/licences.txt"), licences)];
        for (name, file) in [
            ("LICENSE-MIT", "LICENSE-MIT"),
            ("LICENSE-APACHE", "LICENSE-APACHE"),
            ("env.sidecar.example", ".env.sidecar.example"),
            (
                "streaming-llm-sidecar.service",
                "xtask/dist/files/streaming-llm-sidecar.service",
            ),
        ] {
            texts.push(PackedFile::new(format!("{SHARE}/{name}"), read(&root.join(file))?));
        }
        Ok(Self {
            bytes: stripped(&arguments.program, &arguments.out)?,
            version: licences::version_of(&metadata, "streaming-llm-sidecar")?,
            texts,
        })
    }

    /// The program below `folder` of a package, such as `bin`.
    pub(crate) fn executable(&self, folder: &str) -> PackedFile {
        PackedFile {
            path: format!("{folder}/sidecar"),
            bytes: self.bytes.clone(),
            is_executable: true,
        }
    }
}

/// The default model, ready to be packed.
pub(crate) struct Model {
    /// The packages' version; the model itself has none.
    pub(crate) version: String,
    /// The model's file and its licence, below [`SHARE`].
    pub(crate) files: Vec<PackedFile>,
}

impl Model {
    /// Reads the model's file.
    pub(crate) fn read(arguments: &Arguments) -> Result<Self> {
        let metadata = licences::metadata(&arguments.root)?;
        let licence = read(&arguments.root.join("LICENSE-APACHE"))?;
        let models = format!("{SHARE}/models");
        Ok(Self {
            version: licences::version_of(&metadata, "streaming-llm-sidecar")?,
            files: vec![
                PackedFile::new(format!("{models}/{MODEL_NAME}.gguf"), read(&arguments.model)?),
                PackedFile::new(format!("{models}/{MODEL_NAME}.LICENSE"), licence),
            ],
        })
    }
}

/// The program without symbols and line tables.
fn stripped(program: &Path, folder: &Path) -> Result<Vec<u8>> {
    let copy: PathBuf = folder.join("stripped");
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&copy).arg(program);
    run(&mut strip)?;
    let bytes = read(&copy)?;
    fs::remove_file(&copy).while_trying("remove", &copy)?;
    Ok(bytes)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).while_trying("read", path)
}
