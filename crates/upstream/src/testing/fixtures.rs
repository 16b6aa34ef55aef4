//! The recorded answers in `fixtures/upstreams`, which both our drivers and the official clients read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::Engine;

use super::{Outcome, ScriptedServer, Step, request};

/// One recorded answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The file's name without its extension.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

impl Recorded {
    /// Starts a server that gives this answer to all requests.
    ///
    /// # Panics
    /// If the file can't be read.
    pub async fn serve(&self) -> ScriptedServer {
        let bytes = fs::read(&self.path).expect("the file was there a moment ago");
        ScriptedServer::start(vec![vec![Step::Send(bytes)]]).await
    }
}

/// Reads a recorded answer with the engine that `engine` creates for a server's address; returns the outcome, and a
/// line that shows it, with the address as `URL`.
///
/// # Panics
/// If the engine breaks its contract, or refuses the request.
pub async fn read_recorded(answer: &Recorded, engine: impl Fn(&str) -> Arc<dyn Engine>) -> (Outcome, String) {
    let server = answer.serve().await;
    let mut generation = engine(server.url())
        .generate(request("Hello"))
        .expect("a server's queue is its own");
    let outcome = Outcome::read(&mut generation).await;
    let line = format!("{}: {outcome}\n", answer.name).replace(server.url(), "URL");
    (outcome, line)
}

/// Returns all recorded answers of one kind of server (`ollama`, `openai`), by name.
///
/// # Panics
/// If there are none.
#[must_use]
pub fn recorded(kind: &str) -> Vec<Recorded> {
    let folder = file_below_root("fixtures/upstreams").join(kind);
    let entries = fs::read_dir(&folder).expect("the recorded answers are part of the repository");
    let mut answers: Vec<_> = entries
        .map(|entry| entry.expect("a folder that opens can be read").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "http"))
        .map(|path| Recorded {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            path,
        })
        .collect();
    answers.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(!answers.is_empty(), "no recorded answers in {}", folder.display());
    answers
}

/// Returns the path of a file of the repository, from its path below the root.
#[must_use]
pub fn file_below_root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
