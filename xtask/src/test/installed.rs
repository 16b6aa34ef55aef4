//! What `cargo xtask dist` packs, installed and tried as its users would: from the local files alone, without a
//! compiler.
//!
//! The program that is packed is the one that the other tests start, which is there already: without the GPU engine, of
//! the dev profile.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::python::PythonTools;
use crate::{
    dist,
    error::{Context as _, Result, XtaskError},
    process::{command, run, run_within},
    workspace::Workspace,
};

/// Asks an installed sidecar one question.
const FIRST_ANSWER: &str = "fixtures/installed/first_answer.py";

/// Where packages are installed, below the build output.
const FOLDER: &str = "installed";

/// More than the script allows itself, so that it says what it waited for.
const LIMIT: Duration = Duration::from_secs(180);

/// The packages, once they are made.
pub(crate) struct Packages<'a> {
    workspace: &'a Workspace,
    python: &'a PythonTools<'a>,
    /// Where `dist` has put them.
    folder: PathBuf,
}

impl<'a> Packages<'a> {
    /// Packs the program of the dev profile.
    pub(crate) fn pack(workspace: &'a Workspace, python: &'a PythonTools<'a>) -> Result<Self> {
        let program = workspace.build_output().join("sidecar");
        let folder = dist::pack(workspace, &program, "")?;
        Ok(Self {
            workspace,
            python,
            folder,
        })
    }

    /// Installs the wheels with `uv` into an empty environment; both commands answer.
    pub(crate) fn wheels_answer(&self) -> Result<()> {
        let folder = self.empty_folder("uv")?;
        let environment = folder.join("environment");
        let uv = self.python.program("uv");
        let interpreter = self.python.interpreter();
        run(command(&uv, ["venv", "--quiet", "--python", &interpreter]).arg(&environment))?;
        let mut install = command(&uv, ["pip", "install", "--quiet", "--no-index", "--no-cache"]);
        install
            .arg("--find-links")
            .arg(&self.folder)
            .arg("--python")
            .arg(&environment);
        run(install.arg("streaming-llm-sidecar[model]"))?;
        for name in ["sidecar", "streaming-llm-sidecar"] {
            self.first_answer(&folder.join(name), &environment.join("bin").join(name))?;
        }
        Ok(())
    }

    /// Installs the packages with npm into an empty folder.
    pub(crate) fn npm_packages_answer(&self) -> Result<()> {
        let folder = self.empty_folder("npm")?;
        let mut install = command("npm", ["install", "--offline", "--no-audit", "--no-fund", "--silent"]);
        install.arg("--prefix").arg(&folder);
        let packages = fs::read_dir(&self.folder).while_trying("read", &self.folder)?;
        let packages = packages.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        install.args(packages.filter(|path| path.extension().is_some_and(|extension| extension == "tgz")));
        run(&mut install)?;
        let program = folder.join("node_modules/streaming-llm-sidecar/bin/sidecar");
        let command = folder.join("node_modules/.bin/streaming-llm-sidecar");
        if fs::canonicalize(&command).ok() != fs::canonicalize(&program).ok() {
            return Err(XtaskError::Broken {
                file: "the npm package".to_owned(),
                reason: format!("{} isn't a command of the program", command.display()),
            });
        }
        self.first_answer(&folder.join("home"), &command)
    }

    /// Unpacks the archive and gives it the model by hand.
    pub(crate) fn archive_answers(&self) -> Result<()> {
        let folder = self.empty_folder("archive")?;
        let entries = fs::read_dir(&self.folder).while_trying("read", &self.folder)?;
        let archive = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .find(|path| path.to_string_lossy().ends_with(".tar.gz"))
            .ok_or_else(|| XtaskError::Report {
                what: "the packages".to_owned(),
                reason: "there is no archive among them".to_owned(),
            })?;
        let mut tar = command("tar", ["--extract", "--strip-components=1", "--file"]);
        run(tar.arg(&archive).arg("--directory").arg(&folder))?;
        let models = folder.join("share/streaming-llm-sidecar/models");
        fs::create_dir(&models).while_trying("create", &models)?;
        let model = crate::model::ensure(self.workspace)?;
        fs::copy(&model, models.join("smollm2-135m-instruct.gguf")).while_trying("copy", &model)?;
        self.first_answer(&folder.join("home"), &folder.join("bin/sidecar"))
    }

    fn first_answer(&self, home: &Path, program: &Path) -> Result<()> {
        let script = self.workspace.root().join(FIRST_ANSWER);
        let mut python = command(&self.python.interpreter(), [&script]);
        run_within(python.arg(home).arg(program).arg("serve"), LIMIT)
    }

    fn empty_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.workspace.build_output().join(FOLDER).join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).while_trying("remove", &folder)?;
        }
        fs::create_dir_all(&folder).while_trying("create", &folder)?;
        Ok(folder)
    }
}
