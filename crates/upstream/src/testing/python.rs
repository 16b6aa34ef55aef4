//! The Python programs of `fixtures/upstreams`, and the model servers among them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::runtime::Handle;

use super::file_below_root;
use crate::{Server, Settings};

/// Names the Python that has `fixtures/upstreams/requirements.txt`.
const PYTHON: &str = "SIDECAR_TEST_PYTHON";

/// A model server in a process of its own, which ends with this value, or with the test, however that ends.
#[derive(Debug)]
pub struct PythonServer {
    /// Its standard input is a pipe from here: the server ends when that does.
    child: Child,
    /// `HOST:PORT`.
    address: String,
}

impl PythonServer {
    /// llama.cpp's server with the real model, on this port or (0) on a free one. Loads the model, which takes seconds.
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

    /// A server with Ollama's wire in front of a `llama_cpp` one.
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
        let address = address.expect("the server ends before it listens; its words are above");
        Self { child, address }
    }

    /// Its address, as a setting would have it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its port, to start another one on after [`PythonServer::kill`].
    ///
    /// # Panics
    /// If the server told no port.
    #[must_use]
    pub fn port(&self) -> u16 {
        let port = self.address.rsplit(':').next().and_then(|port| port.parse().ok());
        port.expect("an address ends in a port")
    }

    /// Waits until a `llama_cpp` server computes nothing.
    ///
    /// # Panics
    /// If it goes on for 10 s, or tells nothing.
    pub async fn becomes_idle(&self) {
        /// Together 10 s: far more than one token takes, far less than the rest of an answer.
        const LOOKS: u32 = 500;
        const BETWEEN: Duration = Duration::from_millis(20);
        let settings = Settings::default();
        let server = Server::new("llama.cpp", &self.url(), settings, Handle::current()).expect("it told its address");
        let mut look = tokio::time::interval(BETWEEN);
        for _ in 0..LOOKS {
            let metrics = server.list("/metrics").await.expect("it tells what it does");
            if metrics.lines().any(|line| line == "llamacpp:requests_processing 0") {
                return;
            }
            look.tick().await;
        }
        unreachable!("llama.cpp goes on although nobody reads its answer");
    }

    /// Ends it at once, in the middle of whatever it does.
    ///
    /// # Panics
    /// If the system doesn't let it.
    pub fn kill(&mut self) {
        self.child.kill().expect("one's own child can be ended");
        self.child.wait().expect("one's own child can be waited for");
    }
}

impl Drop for PythonServer {
    fn drop(&mut self) {
        // It may have ended before.
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
