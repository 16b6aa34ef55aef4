//! Tests of the store's guarantees, on real folders.

mod behaviour;
mod files;
mod ids;
mod writes;

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::{Agent, AgentId, AgentStore, Draft};

/// Makes a folder with one valid agent, `sound`, so that it isn't seeded.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    put_file(
        folder.path(),
        "sound.md",
        "---\nname: Sound\nsystem_prompt: Be sound.\n---\n\nBody\n",
    );
    folder
}

fn put_file(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::write(folder.join(name), content).expect("a file in the temporary folder can be written");
}

fn open(folder: &TempDir) -> AgentStore {
    AgentStore::open(folder.path()).expect("the folder can be opened")
}

fn id(text: &str) -> AgentId {
    AgentId::parse(text).expect("the test's id follows the rule")
}

fn draft(agent: &str) -> Draft {
    Draft {
        id: id(agent),
        name: "Reviewer".into(),
        system_prompt: "You are Reviewer, a precise PR reviewer.".into(),
        markdown_context: "- Keep responses focused on regressions.\n".into(),
    }
}

fn ids(agents: &[Agent]) -> Vec<&str> {
    agents.iter().map(|agent| agent.id.as_str()).collect()
}
