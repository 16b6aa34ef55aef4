//! The binary as a process of its own: started, told to stop, killed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// The binary, serving on a free port; killed when dropped.
pub struct Sidecar {
    child: Child,
    pub authority: String,
}

impl Sidecar {
    /// Starts it in a folder; `environment` comes on top of what fits the toy model.
    pub fn start(folder: &Path, model: impl AsRef<OsStr>, environment: &[(&str, &OsStr)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sidecar"))
            .current_dir(folder)
            .env("STREAMING_LLM_MODEL", model)
            .env("STREAMING_LLM_DEVICE", "cpu")
            // Fits the toy model too.
            .env("STREAMING_LLM_RECENT_SIZE", "64")
            .env("STREAMING_LLM_HOST", "127.0.0.1")
            .env("STREAMING_LLM_PORT", "0")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("stdout is text");
        let authority = line
            .trim_end()
            .strip_prefix("listening on http://")
            .unwrap_or_else(|| panic!("not listening: {line:?}"));
        Self {
            authority: authority.to_owned(),
            child,
        }
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let told = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(told.expect("kill runs").success());
    }

    /// Waits for its end.
    pub fn ended(mut self) -> ExitStatus {
        self.child.wait().expect("the process is ours")
    }
}

impl Drop for Sidecar {
    /// SIGKILL: nothing in the process gets to clean up.
    fn drop(&mut self) {
        self.child.kill().expect("the process is ours");
        self.child.wait().expect("the process is ours");
    }
}

/// The toy model of the fixtures.
pub fn toy_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/toy-llama.gguf")
}

/// Writes an agent whose words fit the toy model.
pub fn write_brief_agent(folder: &Path) {
    let agents = folder.join(".agents");
    std::fs::create_dir(&agents).expect("a folder can be made");
    let agent = "---\nid: brief\nname: Brief\nsystem_prompt: Be brief.\n---\n";
    std::fs::write(agents.join("brief.md"), agent).expect("a file can be written");
}
