//! Parameters that several operations share.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::operation::{Location, Parameter};
use crate::schema::definitions::refer;
use crate::texts::{AgentId, Id, RegistrationId, WorkspaceId};

/// The agent in the path.
pub(super) const AGENT: Parameter = Parameter {
    name: "id",
    location: Location::Path,
    is_required: true,
    description: "The agent.",
    schema: refer::<AgentId>,
};

/// The conversation in the path.
pub(super) const CONVERSATION: Parameter = Parameter {
    description: "The conversation.",
    schema: refer::<Id>,
    ..AGENT
};

/// The turn in the path.
pub(super) const TURN: Parameter = Parameter {
    name: "turnId",
    description: "The turn.",
    ..CONVERSATION
};

/// The registration in the path.
pub(super) const REGISTRATION: Parameter = Parameter {
    description: "The registration.",
    schema: refer::<RegistrationId>,
    ..AGENT
};

/// The workspace in the path.
pub(super) const WORKSPACE: Parameter = Parameter {
    description: "The workspace.",
    schema: refer::<WorkspaceId>,
    ..AGENT
};

/// The length of a page.
pub(super) const LIMIT: Parameter = query("limit", "How many at most; 50 by default.", up_to_200);

/// Creates an optional key of the query.
pub(super) const fn query(
    name: &'static str,
    description: &'static str,
    schema: fn(&mut SchemaGenerator) -> Schema,
) -> Parameter {
    Parameter {
        name,
        location: Location::Query,
        is_required: false,
        description,
        schema,
    }
}

/// Creates an optional header.
pub(super) const fn header(
    name: &'static str,
    description: &'static str,
    schema: fn(&mut SchemaGenerator) -> Schema,
) -> Parameter {
    Parameter {
        location: Location::Header,
        ..query(name, description, schema)
    }
}

/// Returns the schema of 1 to 200.
pub(super) fn up_to_200(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": 200 })
}

/// Returns the schema of a number in a log, 0 being before its first event.
pub(super) fn seq(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 0, "maximum": u64::MAX })
}

/// Returns the schema of the cursor at which a page ended.
pub(super) fn cursor(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": i64::MAX })
}
