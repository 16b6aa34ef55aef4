//! Programs and drivers that come from the operating system, not from cargo or npm.
//!
//! As root on Debian they are installed, and it is said; anywhere else the error carries the command to run.

use std::path::Path;

use crate::{
    error::{Result, XtaskError},
    process::{command, run, works},
};

/// Something that the operating system brings.
pub(crate) struct SystemPackage {
    /// What it is, as a person would call it.
    pub(crate) tool: &'static str,
    /// The Debian packages that bring it.
    pub(crate) debian: &'static [&'static str],
    /// What to do on other systems.
    pub(crate) elsewhere: &'static str,
}

impl SystemPackage {
    /// Sees to it that `is_there` holds afterwards.
    ///
    /// # Errors
    /// [`XtaskError::MissingTool`] with the command to run, where this process may not install it.
    pub(crate) fn ensure(&self, is_there: impl Fn() -> bool) -> Result<()> {
        if is_there() {
            return Ok(());
        }
        let names = self.debian.join(" ");
        if !(on_debian() && is_root()) {
            let remedy = format!(
                "on Debian or Ubuntu run `sudo apt-get install {names}`; {}",
                self.elsewhere
            );
            return Err(XtaskError::MissingTool {
                tool: self.tool,
                remedy,
            });
        }
        println!("Installing {names} with apt-get ({}).", self.tool);
        run(apt_get().arg("update"))?;
        run(apt_get()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(self.debian))?;
        if is_there() {
            return Ok(());
        }
        let remedy = format!("apt-get has installed {names}, and it still isn't there");
        Err(XtaskError::MissingTool {
            tool: self.tool,
            remedy,
        })
    }
}

fn apt_get() -> std::process::Command {
    let mut apt_get = command("apt-get", ["-q=2", "--option=Dpkg::Use-Pty=0"]);
    apt_get.env("DEBIAN_FRONTEND", "noninteractive");
    apt_get
}

fn on_debian() -> bool {
    Path::new("/etc/debian_version").exists() && works(&mut command("apt-get", ["--version"]))
}

fn is_root() -> bool {
    std::process::Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n")
}
