//! What machines read of the protocol, generated from its types: TypeScript, JSON Schema, `openapi.json`, `asyncapi.json`.
//!
//! The tests write the results into files and fail when those differ; who serves them needs nothing of this.

mod asyncapi;
mod definitions;
mod openapi;
mod spellings;
mod typescript;
mod values;

pub use asyncapi::asyncapi;
pub use definitions::json_schema;
pub use openapi::openapi;
pub use typescript::typescript;

pub(crate) use spellings::{frame_spellings, option_spellings};
pub(crate) use values::{
    AgentId, Id, LoggedFrame, ModelName, RegistrationId, Sha256, SpokenFor, StopString, Timestamp, ToolName,
    VisibleText, Words, WorkspaceId,
};

/// A document as it is written into a file.
fn written(document: &serde_json::Value) -> String {
    format!("{document:#}\n")
}
