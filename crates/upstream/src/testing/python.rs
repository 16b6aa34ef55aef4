//! The Python programs of `fixtures/upstreams`, and the model servers among them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::runtime::Handle;

use super::file_below_root;
use crate::{Server, Settings};

/// The environment variable that names the Python with the packages of `fixtures/upstreams/requirements.txt`.
const PYTHON: &str = "SIDECAR_TEST_PYTHON";

/// A model server in a process of its own, which ends when this value is dropped, or with the test process.
#[derive(Debug)]
pub struct PythonServer {
    /// The process. It ends when its standard input, a pipe from this process, is closed.
    child: Child,
    /// `HOST:PORT`.
    address: String,
}

impl PythonServer {
    /// Starts llama.cpp's server with the real model, on this port or (0) a free one. Loading the model takes seconds.
    ///
    /// # Panics
    /// If the model, Python or its packages are missing, or the server doesn't start.
    #[must_use]
    pub fn llama_cpp(port: u16) -> Self {
        let model = file_below_root("models/smollm2-135m-instruct.gguf");
        assert!(
            model.is_file(),
            "{} is missing; `cargo xtask test` fetches it",
            model.display()
        );
        Self::start("llama_cpp_server.py", &model.to_string_lossy(), port)
    }

    /// Starts a server with Ollama's interface in front of a `llama_cpp` one.
    ///
    /// # Panics
    /// As for [`PythonServer::llama_cpp`].
    #[must_use]
    pub fn ollama_wire(backend: &Self, port: u16) -> Self {
        Self::start("ollama_wire_server.py", &backend.url(), port)
    }

    fn start(script: &str, argument: &str, port: u16) -> Self {
        let mut child = python(script)
            .arg(argument)
            .args(["--port", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the Python of the tests can be started");
        let output = child.stdout.take().expect("its standard output is a pipe");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("listening ").map(str::to_owned));
        let address = address.expect("the server ends before it listens; its output is above");
        Self { child, address }
    }

    /// Returns the server's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the port, on which another server may be started after [`PythonServer::kill`].
    ///
    /// # Panics
    /// If the server's address has no port.
    #[must_use]
    pub fn port(&self) -> u16 {
        let port = self.address.rsplit(':').next().and_then(|port| port.parse().ok());
        port.expect("an address ends in a port")
    }

    /// Waits until a `llama_cpp` server is idle.
    ///
    /// # Panics
    /// If it is busy for 10 s, or reports no metrics.
    pub async fn becomes_idle(&self) {
        /// Together 10 s: far more than one token takes, far less than the rest of an answer.
        const POLLS: u32 = 500;
        const INTERVAL: Duration = Duration::from_millis(20);
        let settings = Settings::default();
        let server = Server::new("llama.cpp", &self.url(), settings, Handle::current()).expect("its address is valid");
        let mut interval = tokio::time::interval(INTERVAL);
        for _ in 0..POLLS {
            let metrics = server.list("/metrics").await.expect("it reports metrics");
            if metrics.lines().any(|line| line == "llamacpp:requests_processing 0") {
                return;
            }
            interval.tick().await;
        }
        unreachable!("llama.cpp is still busy 10 s after its answer was given up");
    }

    /// Kills the server at once.
    ///
    /// # Panics
    /// If the system refuses it.
    pub fn kill(&mut self) {
        self.child.kill().expect("one's own child can be ended");
        self.child.wait().expect("one's own child can be waited for");
    }
}

impl Drop for PythonServer {
    fn drop(&mut self) {
        // The process may have ended before.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

pub(super) fn python(script: &str) -> Command {
    let python = std::env::var_os(PYTHON).expect(
        "SIDECAR_TEST_PYTHON is not set: `cargo xtask test` installs fixtures/upstreams/requirements.txt and sets it; by \
         hand, install that into a virtual environment and name its python",
    );
    let mut command = Command::new(python);
    command.arg(file_below_root("fixtures/upstreams").join(script));
    command
}
