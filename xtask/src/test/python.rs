//! The Python programs that tests and comparisons start: pinned packages in virtual environments of their own, in the
//! tool cache.
//!
//! One is made again when its list or the machine's Python changes, and otherwise left alone. Nothing of it reaches the
//! Python of the machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    error::{Context as _, Result},
    process::{command, output, run, works},
    system::SystemPackage,
    workspace::Workspace,
};

/// The variable in which tests find the interpreter.
pub(crate) const INTERPRETER_VARIABLE: &str = "SIDECAR_TEST_PYTHON";

/// A pinned list of packages, and where they go.
struct PackageList {
    /// Below the root.
    file: &'static str,
    /// In the tool cache.
    folder: &'static str,
    /// What is fetched, for people who wait for it.
    megabytes: u32,
}

const FOR_TESTS: PackageList = PackageList {
    file: "fixtures/upstreams/requirements.txt",
    folder: "python",
    megabytes: 100,
};

const FOR_PEERS: PackageList = PackageList {
    file: "fixtures/peers/requirements.txt",
    folder: "python-peers",
    megabytes: 53,
};

/// Written last, into the environment: what it was made from.
const STAMP: &str = "made-from.txt";

/// Succeeds where virtual environments can be made (Debian has a part of `venv` in a package of its own), by a Python
/// that is new enough for the packages.
const PROBE: &str = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))";

const VENV: SystemPackage = SystemPackage {
    tool: "`python3 -m venv` of Python 3.11 or newer, from which tests start model servers,",
    debian: &["python3", "python3-venv"],
    elsewhere: "elsewhere install Python 3.11 or newer with venv and pip, and put it first on the PATH",
};

/// A virtual environment.
pub(crate) struct PythonTools<'a> {
    workspace: &'a Workspace,
    list: PackageList,
    folder: PathBuf,
}

impl<'a> PythonTools<'a> {
    /// The environment of the tests. Prepares nothing, runs nothing.
    pub(crate) fn new(workspace: &'a Workspace) -> Self {
        Self::of(workspace, FOR_TESTS)
    }

    /// The environment of the programs that the sidecar is compared with. Prepares nothing, runs nothing.
    pub(crate) fn peers(workspace: &'a Workspace) -> Self {
        Self::of(workspace, FOR_PEERS)
    }

    fn of(workspace: &'a Workspace, list: PackageList) -> Self {
        let folder = workspace.tool_cache().join(list.folder);
        Self {
            workspace,
            list,
            folder,
        }
    }

    /// Installs the pinned packages, unless they are there.
    pub(crate) fn ensure(&self) -> Result<()> {
        VENV.ensure(|| works(&mut command("python3", ["-c", PROBE])))?;
        let PackageList { file, megabytes, .. } = self.list;
        let requirements = self.workspace.root().join(file);
        let list = fs::read_to_string(&requirements).while_trying("read", &requirements)?;
        let version = output(&mut command("python3", ["--version"]))?;
        let stamp = self.folder.join(STAMP);
        let wanted = stamp_text(&version, &list);
        if is_made_from(&stamp, &wanted) && works(&mut command(&self.program("python"), ["--version"])) {
            return Ok(());
        }
        eprintln!(
            "Installing the Python packages of {file} into {} ({megabytes} MB, once).",
            self.folder.display()
        );
        self.install(&requirements)?;
        fs::write(&stamp, wanted).while_trying("write", &stamp)
    }

    /// The interpreter, for scripts that use the packages.
    pub(crate) fn interpreter(&self) -> String {
        self.program("python")
    }

    /// A program that one of the packages brings.
    pub(crate) fn program(&self, name: &str) -> String {
        let programs = if cfg!(windows) { "Scripts" } else { "bin" };
        let path = self.folder.join(programs).join(name);
        path.with_extension(std::env::consts::EXE_EXTENSION)
            .to_string_lossy()
            .into_owned()
    }

    fn install(&self, requirements: &Path) -> Result<()> {
        // `--clear` takes the old stamp away too: what is half made is never taken for whole.
        run(command("python3", ["-m", "venv", "--clear"]).arg(&self.folder))?;
        let mut pip = command(&self.interpreter(), ["-m", "pip", "install", "--quiet", "--no-input"]);
        pip.args(["--disable-pip-version-check", "--only-binary=:all:", "--requirement"]);
        run(pip.arg(requirements))
    }
}

/// What the environment depends on: the list, and the Python that it belongs to.
pub(super) fn stamp_text(version: &str, list: &str) -> String {
    format!("# {}\n{list}", version.trim())
}

/// Whether a stamp says that its environment was made from this, to its end.
pub(super) fn is_made_from(stamp: &Path, wanted: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|made_from| made_from == wanted)
}
