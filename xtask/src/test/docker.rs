//! The Docker side, checked without Docker: its own readers of the two files, and what they can't know.
//!
//! Nothing is built or started here, and no image is fetched.

use std::{fs, path::Path};

use serde_json::Value;

use super::python::PythonTools;
use crate::{
    error::{Context as _, Result, XtaskError},
    process::{command, output, run, works},
    workspace::Workspace,
};

const COMPOSE_FILE: &str = "docker/workflow-runner/streaming-llm.compose.yml";
const DOCKERFILE: &str = "docker/workflow-runner/Dockerfile";
const IGNORE_FILE: &str = ".dockerignore";
const EXAMPLE_SETTINGS: &str = ".env.sidecar.example";

/// The service that a larger stack names.
const SERVICE: &str = "streaming-llm";

/// Without it the container must not start: it listens beyond its own loopback.
const KEY_VARIABLE: &str = "STREAMING_LLM_API_KEY";

/// Checks that Docker Compose takes the file, builds from this tree, and refuses to start without a key.
pub(crate) fn check_compose_file(workspace: &Workspace, python: &PythonTools<'_>) -> Result<()> {
    let compose = |arguments: &[&str], key: &str| {
        let mut compose = command(&python.program("docker-compose"), ["--file", COMPOSE_FILE, "config"]);
        compose
            .args(arguments)
            .env(KEY_VARIABLE, key)
            .current_dir(workspace.root());
        compose
    };
    let config = output(&mut compose(&["--format=json"], "a key"))?;
    let config = serde_json::from_str(&config).map_err(|error| broken(COMPOSE_FILE, error.to_string()))?;
    if !builds_from(&config, workspace.root()) {
        return Err(broken(
            COMPOSE_FILE,
            format!("{SERVICE:?} isn't built from {DOCKERFILE}"),
        ));
    }
    if works(&mut compose(&["--quiet"], "")) {
        return Err(broken(COMPOSE_FILE, format!("it starts without {KEY_VARIABLE}")));
    }
    let example = workspace.root().join(EXAMPLE_SETTINGS);
    let example = fs::read_to_string(&example).while_trying("read", &example)?;
    match comments_as_values(&example).next() {
        None => Ok(()),
        Some(name) => {
            let reason = format!("Docker Compose reads the comment behind the empty {name} as its value");
            Err(broken(EXAMPLE_SETTINGS, reason))
        }
    }
}

/// Checks the Dockerfile's form, that it has the workspace's Rust, and that every crate is in its context.
pub(crate) fn check_dockerfile(workspace: &Workspace, python: &PythonTools<'_>) -> Result<()> {
    run(command(&python.program("hadolint"), [DOCKERFILE]).current_dir(workspace.root()))?;
    let read = |name: &str| {
        let path = workspace.root().join(name);
        fs::read_to_string(&path).while_trying("read", &path)
    };
    let (dockerfile, ignored) = (read(DOCKERFILE)?, read(IGNORE_FILE)?);
    for package in workspace.packages() {
        if !is_in_context(&ignored, package.folder) {
            let reason = format!("it leaves {} out, which the build needs", package.folder.display());
            return Err(broken(IGNORE_FILE, reason));
        }
        let wanted = package.field("rust_version");
        if rust_version(&dockerfile) != Some(wanted) {
            let reason = format!("RUST_VERSION isn't {wanted}, as {} wants", package.name);
            return Err(broken(DOCKERFILE, reason));
        }
    }
    Ok(())
}

/// Whether the service's image is made from the tree at `root` by our Dockerfile.
pub(super) fn builds_from(config: &Value, root: &Path) -> bool {
    let build = &config["services"][SERVICE]["build"];
    let context = Path::new(build["context"].as_str().unwrap_or_default());
    // One of them may have come through a link.
    let same = context.canonicalize().ok() == root.canonicalize().ok();
    same && build["dockerfile"] == DOCKERFILE && root.join(DOCKERFILE).is_file()
}

/// The names whose value is empty and has a comment behind it: shells and the sidecar read an empty value there.
pub(super) fn comments_as_values(settings: &str) -> impl Iterator<Item = &str> {
    let assignments = settings.lines().filter_map(|line| line.trim_start().split_once('='));
    assignments
        .filter(|(name, value)| !name.starts_with('#') && value.trim_start().starts_with('#'))
        .map(|(name, _)| name)
}

/// Whether a list that leaves everything out but its `!` lines lets a folder's top-level folder in.
pub(super) fn is_in_context(ignore_file: &str, folder: &Path) -> bool {
    let top = folder.iter().next();
    let mut let_in = ignore_file.lines().filter_map(|line| line.strip_prefix('!'));
    let_in.any(|name| Some(name.trim_end().as_ref()) == top)
}

/// The default of the build argument `RUST_VERSION`.
pub(super) fn rust_version(dockerfile: &str) -> Option<&str> {
    let mut defaults = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("ARG RUST_VERSION="));
    defaults.next().map(str::trim)
}

fn broken(file: &str, reason: String) -> XtaskError {
    let file = file.to_owned();
    XtaskError::Broken { file, reason }
}
