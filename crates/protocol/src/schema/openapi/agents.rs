//! The operations of `/agents`.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::JSON;
use super::operation::{Answer, Body, Content, Link, Operation};
use super::parameters::{AGENT, header};
use crate::routes::OperationId;
use crate::schema::definitions::refer;
use crate::{Agent, AgentDraft, AgentList};

const PLAIN: Operation = Operation {
    tag: "agents",
    ..Operation::PLAIN
};

const ONE: &[(&str, Content)] = &[(JSON, Content::Type(refer::<Agent>))];
const WRITTEN: &[Link] = &[
    link(OperationId::GetAgent),
    link(OperationId::PutAgent),
    link(OperationId::DeleteAgent),
];
const NOT_FOUND: Answer = Answer::error("404", "No agent has this id.");

pub(super) const LIST: Operation = Operation {
    summary: "Lists the agents, by id",
    answers: &[Answer::of(
        "200",
        "The agents.",
        &[(JSON, Content::Type(refer::<AgentList>))],
    )],
    ..PLAIN
};

pub(super) const GET: Operation = Operation {
    summary: "Returns an agent",
    parameters: &[
        AGENT,
        header("If-None-Match", "Versions that the client has.", any_tags),
    ],
    answers: &[
        Answer::of("200", "The agent.", ONE).with(&["ETag"]),
        Answer::empty("304", "The agent is one that is known.").with(&["ETag"]),
        NOT_FOUND,
    ],
    ..PLAIN
};

pub(super) const PUT: Operation = Operation {
    summary: "Makes or replaces an agent",
    parameters: &[AGENT, header("If-Match", "Versions that may be replaced.", tags)],
    body: Some(Body {
        leaves_out: &["id"],
        ..Body::json(
            refer::<AgentDraft>,
            "The agent. An `id` may be there if it equals the path's.",
        )
    }),
    answers: &[
        Answer::of("200", "The agent was replaced.", ONE)
            .with(&["ETag"])
            .leading_to(WRITTEN),
        Answer::of("201", "The agent is new.", ONE)
            .with(&["ETag", "Location"])
            .leading_to(WRITTEN),
        Answer::error("412", "`If-Match` names another version."),
        Answer::error("413", "There are too many agents."),
        Answer::error(
            "422",
            "The id is malformed, or a field is missing, blank, of the wrong type or too large to be stored.",
        ),
    ],
    ..PLAIN
};

pub(super) const DELETE: Operation = Operation {
    summary: "Deletes an agent",
    parameters: &[AGENT],
    answers: &[Answer::empty("204", "The agent was deleted."), NOT_FOUND],
    ..PLAIN
};

const fn link(operation: OperationId) -> Link {
    Link {
        operation,
        parameters: &[("path.id", "$response.body#/id")],
    }
}

/// Returns the schema of a list of versions; a text that is no entity tag names none.
fn any_tags(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string" })
}

fn tags(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "pattern": r#"^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$"# })
}
