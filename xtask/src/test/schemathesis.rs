//! HTTP conformance: `schemathesis` reads `openapi.json` from a running sidecar, and tries what that promises.
//!
//! The sidecar runs on the toy model with a relay that echoes, once with a key and once without, in folders of its own
//! below the build output. What it has to know beside the document is in `fixtures/http-conformance`. Each operation
//! counts as one test. With the same build it makes the same requests: nothing of an earlier run is kept, and nothing
//! is drawn by chance.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{python::PythonTools, rust::junit_counts, tally::Counts};
use crate::{
    error::{Context as _, Result, XtaskError},
    process::{Background, command, run_within},
    workspace::Workspace,
};

/// How the line begins with which the sidecar says where it listens.
const LISTENING: &str = "listening on ";

/// Settings and hooks of schemathesis, below the root.
const FIXTURES: &str = "fixtures/http-conformance";

/// Small enough that any turn takes no time.
const MODEL: &str = "fixtures/models/toy-llama.gguf";

/// Where both programs leave what they write, below the build output.
const FOLDER: &str = "http-conformance";

/// The key that the sidecar is given, and the schemathesis.
const KEY: &str = "conformance";

/// Where the hooks find the sidecar and its key.
const URL_VARIABLE: &str = "SIDECAR_URL";
const KEY_VARIABLE: &str = "SIDECAR_KEY";

/// Many times what it takes on two busy cores.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs all phases with a key, which every check can be made with.
pub(crate) fn test(workspace: &Workspace, python: &PythonTools<'_>) -> Result<Counts> {
    let trial = Trial::prepare(workspace, "with-key")?;
    let mut sidecar = trial.sidecar();
    sidecar.env("STREAMING_LLM_API_KEY", KEY);
    let mut schemathesis = trial.schemathesis(python);
    schemathesis
        .arg(format!("--header=Authorization: Bearer {KEY}"))
        .env(KEY_VARIABLE, KEY);
    trial.run(sidecar, schemathesis)
}

/// Runs once more without a key: only what is tried systematically.
pub(crate) fn test_without_key(workspace: &Workspace, python: &PythonTools<'_>) -> Result<Counts> {
    let trial = Trial::prepare(workspace, "without-key")?;
    let mut schemathesis = trial.schemathesis(python);
    schemathesis.arg("--phases=coverage");
    trial.run(trial.sidecar(), schemathesis)
}

/// One sidecar, and the requests that are tried on it.
struct Trial<'a> {
    workspace: &'a Workspace,
    folder: PathBuf,
}

impl<'a> Trial<'a> {
    /// Empties the folder, and gives it an agent that the toy model has room for.
    fn prepare(workspace: &'a Workspace, name: &str) -> Result<Self> {
        let folder = workspace.build_output().join(FOLDER).join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).while_trying("remove", &folder)?;
        }
        let agents = folder.join(".agents");
        fs::create_dir_all(&agents).while_trying("make", &agents)?;
        let agent = workspace.root().join(FIXTURES).join("brief.md");
        fs::copy(&agent, agents.join("brief.md")).while_trying("copy", &agent)?;
        Ok(Self { workspace, folder })
    }

    fn sidecar(&self) -> Command {
        let program = self.workspace.build_output().join("sidecar");
        let program = program.with_extension(std::env::consts::EXE_EXTENSION);
        let fixture = |path: &str| self.workspace.root().join(path);
        let mut sidecar = command(&program.to_string_lossy(), ["serve"]);
        sidecar
            .current_dir(&self.folder)
            .env_remove("STREAMING_LLM_HOME")
            .env("STREAMING_LLM_MODEL", fixture(MODEL))
            .env("STREAMING_LLM_DEVICE", "cpu")
            .env("STREAMING_LLM_RECENT_SIZE", "64")
            .env("STREAMING_LLM_MAX_NEW_TOKENS", "4")
            .env("STREAMING_LLM_RELAY", relay(&fixture(FIXTURES)))
            .env("STREAMING_LLM_HOST", "127.0.0.1")
            .env("STREAMING_LLM_PORT", "0")
            .env("RUST_LOG", "warn");
        sidecar
    }

    fn schemathesis(&self, python: &PythonTools<'_>) -> Command {
        let settings = self.workspace.root().join(FIXTURES);
        let mut schemathesis = command(&python.program("schemathesis"), [""; 0]);
        schemathesis
            .current_dir(&self.folder)
            .env("SCHEMATHESIS_HOOKS", settings.join("hooks.py"))
            .arg("--config-file")
            .arg(settings.join("schemathesis.toml"))
            .args(["run", "--no-color", "--report=junit"])
            .arg(format!("--report-junit-path={}", self.report().display()));
        schemathesis
    }

    fn report(&self) -> PathBuf {
        self.folder.join("junit.xml")
    }

    /// Starts the sidecar, runs schemathesis against it, and counts.
    fn run(&self, mut sidecar: Command, mut schemathesis: Command) -> Result<Counts> {
        let (_sidecar, url) = Background::start(&mut sidecar, LISTENING)?;
        schemathesis.env(URL_VARIABLE, &url).arg(format!("{url}/openapi.json"));
        let outcome = run_within(&mut schemathesis, LIMIT);
        let report = self.report();
        if !report.exists() {
            return Err(outcome.err().unwrap_or_else(|| unreadable("it isn't there")));
        }
        let text = fs::read_to_string(&report).while_trying("read", &report)?;
        let counts = junit_counts(&text).ok_or_else(|| unreadable("it has no counts"))?;
        // schemathesis may fail without a failed operation; then its exit status counts.
        if counts.failed == 0 {
            outcome.map(|()| counts)
        } else {
            Ok(counts)
        }
    }
}

/// A script with nothing in it: the relay echoes.
fn relay(fixtures: &Path) -> String {
    format!("fake:{}", fixtures.join("relay.json").display())
}

fn unreadable(reason: &str) -> XtaskError {
    XtaskError::Report {
        what: "the report of schemathesis".to_owned(),
        reason: reason.to_owned(),
    }
}
