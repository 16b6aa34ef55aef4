//! Generates the machine-readable forms of the protocol: TypeScript, JSON Schema, `openapi.json` and `asyncapi.json`.
//!
//! The tests compare the results with the committed files, which a server serves without this module.

mod asyncapi;
mod definitions;
mod openapi;
mod typescript;

pub use asyncapi::asyncapi;
pub use definitions::json_schema;
pub use openapi::openapi;
pub use typescript::typescript;

/// Returns a document as the text of its file.
fn written(document: &serde_json::Value) -> String {
    format!("{document:#}\n")
}
