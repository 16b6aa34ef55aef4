//! The generated documents, for a server to serve.

/// The HTTP routes: OpenAPI 3.1, as JSON.
pub const OPENAPI: &str = include_str!("../generated/openapi.json");

/// The socket `/ws/chat`: AsyncAPI 3.0, as JSON.
pub const ASYNCAPI: &str = include_str!("../generated/asyncapi.json");

/// All types of the wire: JSON Schema 2020-12, as JSON.
pub const JSON_SCHEMA: &str = include_str!("../generated/schema.json");
