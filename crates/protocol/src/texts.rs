//! The schemas of texts that are a `String` in Rust and follow a rule, each under a name of its own.
//!
//! JSON Schema counts characters; where the sidecar counts bytes, the description states it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::ids;
use crate::limits::{Limits, MAX_MODEL_BYTES, MAX_STOP_STRING_BYTES};

/// Declares types that exist only for their schema.
macro_rules! texts {
    ($($name:ident: $schema:expr;)*) => {$(
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

texts! {
    Id: json_schema!({
        "type": "string",
        "description": "The id of a conversation or a turn: letters, digits, '.', '_' and '-', beginning with a letter or digit, without '..'.",
        "minLength": 1,
        "maxLength": ids::MAX_ID_BYTES,
        // Excludes `..` without a look-ahead, which generators of test inputs don't support.
        "pattern": r"^[A-Za-z0-9](\.?[A-Za-z0-9_-])*\.?$",
    });
    AgentId: json_schema!({
        "type": "string",
        "description": "The id of an agent, which is a file name: without '..' or a dot at the end, and not the name of a device.",
        "minLength": 1,
        "maxLength": 64,
        "pattern": r"^[a-z0-9](\.?[a-z0-9_-])*$",
        "not": { "pattern": r"^(con|prn|aux|nul|com[1-9]|lpt[1-9])(\.|$)" },
    });
    SpokenFor: json_schema!({
        "type": "string",
        "description": "The agent that a controller publishes for, which may belong to another program: at most 64 bytes, not blank.",
        "minLength": 1,
        "maxLength": 64,
        "pattern": VISIBLE,
    });
    WorkspaceId: json_schema!({
        "type": "string",
        "description": "The host application's name for a workspace: at most 1,024 bytes, not blank.",
        "minLength": 1,
        "maxLength": 1_024,
        "pattern": VISIBLE,
    });
    RegistrationId: json_schema!({
        "type": "string",
        "description": "The id of a controller's registration.",
        "format": "uuid",
    });
    Words: json_schema!({
        "type": "string",
        "description": "A person's message: at most `limits.messageBytes` bytes, not blank.",
        "minLength": 1,
        "maxLength": Limits::default().message_bytes,
        "pattern": VISIBLE,
    });
    VisibleText: json_schema!({
        "type": "string",
        "description": "Any text that isn't blank.",
        "minLength": 1,
        "pattern": VISIBLE,
    });
    StopString: json_schema!({
        "type": "string",
        "description": "At most `limits.stopStringBytes` bytes.",
        "minLength": 1,
        "maxLength": MAX_STOP_STRING_BYTES,
    });
    ModelName: json_schema!({
        "type": "string",
        "description": "The name of a model: at most 256 bytes, without control characters and without white space at either end.",
        "minLength": 1,
        "maxLength": MAX_MODEL_BYTES,
        "pattern": r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$",
    });
    ToolName: json_schema!({
        "type": "string",
        "description": "The name of a tool, unique in a turn.",
        "pattern": "^[A-Za-z0-9_-]{1,64}$",
    });
    Sha256: json_schema!({
        "type": "string",
        "description": "SHA-256, hexadecimal.",
        "pattern": "^[0-9a-f]{64}$",
    });
    Timestamp: json_schema!({
        "type": "string",
        "description": "RFC 3339, UTC, milliseconds.",
        "format": "date-time",
        "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
    });
}

/// Matches a text with a character other than white space.
const VISIBLE: &str = r"\S";
