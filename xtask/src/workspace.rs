//! Where things are: the workspace's root, its build output, and the cache for tools between runs.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    error::{Result, XtaskError},
    process,
};

/// The project's folder under the user's cache.
const CACHE_NAME: &str = "streaming-llm-sidecar";

/// The same for every command, and for the run script, so that dependencies are compiled once. All members together
/// switch on every feature that tests need, but for the GPU.
pub(crate) const FEATURE_SET: [&str; 2] = ["--workspace", "--locked"];

/// The workspace as cargo sees it.
pub(crate) struct Workspace {
    root: PathBuf,
    metadata: Value,
}

/// One of the workspace's packages.
pub(crate) struct Package<'a> {
    /// The package's published name.
    pub(crate) name: &'a str,
    /// Its folder below the root, such as `crates/chat`.
    pub(crate) folder: &'a Path,
    json: &'a Value,
}

impl Workspace {
    /// Asks cargo about the workspace that this tool was built in.
    pub(crate) fn locate() -> Result<Self> {
        let manifest =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = manifest
            .parent()
            .expect("xtask lies in a folder of the workspace")
            .to_owned();
        let mut ask = process::cargo(["metadata", "--no-deps", "--format-version=1"]);
        let text = process::output(ask.current_dir(&root))?;
        let metadata = serde_json::from_str(&text).map_err(|error| XtaskError::Report {
            what: "cargo's metadata".to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self { root, metadata })
    }

    /// The folder with the root Cargo.toml.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// `cargo` with arguments, run in the root.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = process::cargo(arguments);
        cargo.current_dir(&self.root);
        cargo
    }

    /// The folder of what cargo has built with the dev profile.
    pub(crate) fn build_output(&self) -> PathBuf {
        self.target_folder().join("debug")
    }

    /// Cargo's folder for everything that it builds.
    pub(crate) fn target_folder(&self) -> &Path {
        Path::new(text(&self.metadata["target_directory"]))
    }

    /// Where installed tools are kept from one run to the next.
    pub(crate) fn tool_cache(&self) -> PathBuf {
        let base = env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        let base = base.or_else(|| env::home_dir().map(|home| home.join(".cache")));
        base.map_or_else(|| self.root.join("target"), |base| base.join(CACHE_NAME))
            .join("tools")
    }

    /// The workspace's own packages.
    pub(crate) fn packages(&self) -> impl Iterator<Item = Package<'_>> {
        self.metadata["packages"].as_array().into_iter().flatten().map(|json| {
            let manifest = Path::new(text(&json["manifest_path"]));
            let folder = manifest.parent().unwrap_or(manifest);
            let folder = folder.strip_prefix(&self.root).unwrap_or(folder);
            Package {
                name: text(&json["name"]),
                folder,
                json,
            }
        })
    }
}

impl<'a> Package<'a> {
    /// The names of the targets of one kind, such as `example`.
    pub(crate) fn targets(&self, kind: &'static str) -> impl Iterator<Item = &'a str> {
        let targets = self.json["targets"].as_array().into_iter().flatten();
        let of_kind = move |target: &&Value| {
            target["kind"]
                .as_array()
                .is_some_and(|kinds| kinds.iter().any(|k| k == kind))
        };
        targets.filter(of_kind).map(|target| text(&target["name"]))
    }

    /// A field of its manifest that is text, such as `rust_version`; empty where it has no such field.
    pub(crate) fn field(&self, name: &str) -> &'a str {
        text(&self.json[name])
    }

    /// Whether its manifest lets it be published.
    pub(crate) fn may_be_published(&self) -> bool {
        // An empty list of registries is `publish = false`.
        self.json["publish"]
            .as_array()
            .is_none_or(|registries| !registries.is_empty())
    }

    /// The published names of everything that it depends on, for its tests and build script too.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = &'a str> {
        self.json["dependencies"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|dependency| text(&dependency["name"]))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
