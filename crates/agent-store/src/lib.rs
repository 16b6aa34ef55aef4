//! Agents as Markdown files with front matter, one file per agent.
//!
//! In goes a folder; out come checked [`Agent`]s. The file name is the id, the front matter has the name, the system
//! prompt and the options, the body is the agent's context. Files are read at each call, so an edit by hand takes
//! effect at once. A file that can't be read is reported as an [`AgentProblem`], and the others are served.
//!
//! The crate never follows a symbolic link, never reads more than [`MAX_FILE_BYTES`], never leaves a half-written file
//! behind, and never interprets an agent's options. All calls block on the file system: call them where blocking is
//! allowed.

mod agent;
mod budget;
mod condition;
mod error;
mod folder;
mod front_matter;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod id;
mod markdown;
mod store;
#[cfg(test)]
mod tests;

pub use agent::{Agent, Draft, Put};
pub use condition::Condition;
pub use error::{AgentProblem, AgentStoreError, FileProblem};
pub use folder::MAX_FILE_BYTES;
pub use id::{AgentId, InvalidAgentId};
pub use store::AgentStore;
