//! The binary as a process of its own: started, terminated, killed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// Names another folder to work in; a test has its own.
pub const HOME_VARIABLE: &str = "STREAMING_LLM_HOME";

/// The binary, serving on a free port; killed when dropped.
pub struct Sidecar {
    child: Child,
    pub authority: String,
}

/// Returns a command that runs the binary in a folder, with settings that fit the toy model.
pub fn binary(folder: &Path, model: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidecar"));
    set_up(&mut command, folder, model);
    command
}

/// Makes a command's sidecar serve a model on a free port, with all its files in a folder.
pub fn set_up(command: &mut Command, folder: &Path, model: impl AsRef<OsStr>) {
    command
        .current_dir(folder)
        .env_remove(HOME_VARIABLE)
        .env("STREAMING_LLM_MODEL", model)
        .env("STREAMING_LLM_DEVICE", "cpu")
        // Fits the toy model too.
        .env("STREAMING_LLM_RECENT_SIZE", "64")
        .env("STREAMING_LLM_HOST", "127.0.0.1")
        .env("STREAMING_LLM_PORT", "0");
}

impl Sidecar {
    /// Starts the binary in a folder; `environment` is added to the settings that fit the toy model.
    pub fn start(folder: &Path, model: impl AsRef<OsStr>, environment: &[(&str, &OsStr)]) -> Self {
        let mut command = binary(folder, model);
        command.envs(environment.iter().copied()).stderr(Stdio::null());
        Self::serving(command).unwrap_or_else(|line| panic!("not listening: {line:?}"))
    }

    /// Starts a command, and waits until it serves; returns its output if it ends instead.
    pub fn serving(mut command: Command) -> Result<Self, String> {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("stdout is text");
        match line.trim_end().strip_prefix("listening on http://") {
            Some(authority) => Ok(Self {
                authority: authority.to_owned(),
                child,
            }),
            None => {
                let ended = child.wait_with_output().expect("the process is ours");
                Err(format!("{line}{}", String::from_utf8_lossy(&ended.stderr)))
            }
        }
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let status = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for the process to end.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("the process is ours")
    }
}

impl Drop for Sidecar {
    /// Sends SIGKILL: nothing in the process gets to clean up.
    fn drop(&mut self) {
        self.child.kill().expect("the process is ours");
        self.child.wait().expect("the process is ours");
    }
}

/// Returns the path of the toy model in the fixtures.
pub fn toy_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/toy-llama.gguf")
}

/// Writes an agent whose prompt fits the toy model.
pub fn write_brief_agent(folder: &Path) {
    let agents = folder.join(".agents");
    std::fs::create_dir(&agents).expect("a folder can be made");
    let agent = "---\nid: brief\nname: Brief\nsystem_prompt: Be brief.\n---\n";
    std::fs::write(agents.join("brief.md"), agent).expect("a file can be written");
}
