//! A file system of its own for the data folder, which can be filled and freed; only where mounting is allowed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// More than a soak of hours writes.
const ROOM: &str = "4g";

/// Enough tries to catch up with a sidecar that writes without a pause.
const TRIES: usize = 100;

/// A file system in memory, unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one; returns `None` where that isn't allowed.
    pub fn mount(path: &Path) -> Option<Self> {
        std::fs::create_dir_all(path).ok()?;
        let path = path.to_owned();
        let size = format!("size={ROOM}");
        let is_mounted = run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(&path));
        is_mounted.then_some(Self { path })
    }

    /// Leaves space for so many pages of 4 KiB beyond what is used. The used space grows meanwhile, so it may take some
    /// tries.
    pub fn fill(&self, pages_left: u64) -> bool {
        (0..TRIES).any(|_| self.try_to_fill(pages_left))
    }

    fn try_to_fill(&self, pages_left: u64) -> bool {
        let used = Command::new("df")
            .args(["--output=used", "-k"])
            .arg(&self.path)
            .output();
        let used = used
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        let used: Option<u64> = used.lines().nth(1).and_then(|kib| kib.trim().parse().ok());
        used.is_some_and(|kib| self.resize(&format!("{}k", kib + 4 * pages_left)))
    }

    /// Gives it all its space again.
    pub fn free(&self) -> bool {
        self.resize(ROOM)
    }

    fn resize(&self, size: &str) -> bool {
        run(Command::new("mount")
            .args(["-o", &format!("remount,size={size}")])
            .arg(&self.path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Unmounts lazily: a process that is about to end may have a file open.
        run(Command::new("umount").arg("-l").arg(&self.path));
    }
}

fn run(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
