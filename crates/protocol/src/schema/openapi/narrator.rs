//! The operations of `/narrator`, and the same below `/api/workspaces/{id}`.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::JSON;
use super::operation::{Answer, Body, Content, Operation, Parameter};
use super::parameters::{LIMIT, WORKSPACE, header, query};
use crate::schema::definitions::refer;
use crate::texts::{Id, WorkspaceId};
use crate::{NarratorAccepted, NarratorFeed, NarratorMessage, RelayErrorBody};

const PLAIN: Operation = Operation {
    tag: "narrator",
    ..Operation::PLAIN
};

const QUERIED: Parameter = Parameter {
    is_required: true,
    ..query("workspaceId", "The workspace.", refer::<WorkspaceId>)
};
const CONVERSATION: Parameter = query("conversationId", "One conversation of the workspace.", refer::<Id>);
const PREFER: Parameter = header("Prefer", "`respond-async` doesn't wait for the answer.", preference);

const RELAY_ERROR: &[(&str, Content)] = &[(JSON, Content::Type(refer::<RelayErrorBody>))];

const ACCEPTED: &[Answer] = &[
    Answer::of(
        "202",
        "The message was answered, or is being answered.",
        &[(JSON, Content::Type(refer::<NarratorAccepted>))],
    )
    .with(&["Preference-Applied"]),
    Answer::error("409", "The agent has no controller."),
    Answer::error("410", "The conversation was deleted."),
    Answer::error("429", "Too many messages are being answered, or were sent recently."),
    Answer::of("502", "The relay failed.", RELAY_ERROR),
    Answer::error("503", "The server is shutting down."),
    Answer::of("504", "The relay didn't answer in time.", RELAY_ERROR),
];

const FEED: &[Answer] = &[Answer::of(
    "200",
    "The feed.",
    &[(JSON, Content::Type(refer::<NarratorFeed>))],
)];
const RAW: &[Answer] = &[Answer::of("200", "The lines.", &[("application/jsonl", Content::Text)])];

pub(super) const SEND: Operation = Operation {
    summary: "Sends a message to a workspace's narrator",
    parameters: &[PREFER],
    body: Some(Body {
        needs: &["workspaceId", "message"],
        ..Body::json(refer::<NarratorMessage>, "The message.")
    }),
    answers: ACCEPTED,
    ..PLAIN
};

pub(super) const GET_FEED: Operation = Operation {
    summary: "Returns the narrator's feed, newest first",
    parameters: &[QUERIED, CONVERSATION, LIMIT],
    answers: FEED,
    ..PLAIN
};

pub(super) const GET_LOG: Operation = Operation {
    summary: "Returns the lines of the narrator's log, newest first",
    parameters: &[QUERIED, CONVERSATION, LIMIT],
    answers: RAW,
    ..PLAIN
};

pub(super) const SEND_IN_WORKSPACE: Operation = Operation {
    summary: "As /narrator/messages",
    parameters: &[WORKSPACE, PREFER],
    body: Some(Body {
        leaves_out: &["workspaceId"],
        needs: &["message"],
        ..Body::json(
            refer::<NarratorMessage>,
            "The message. A `workspaceId` may be present if it equals the path's.",
        )
    }),
    answers: ACCEPTED,
    ..PLAIN
};

pub(super) const GET_FEED_OF_WORKSPACE: Operation = Operation {
    summary: "As /narrator/feed",
    parameters: &[WORKSPACE, CONVERSATION, LIMIT],
    answers: FEED,
    ..PLAIN
};

pub(super) const GET_LOG_OF_WORKSPACE: Operation = Operation {
    summary: "As /narrator/raw",
    parameters: &[WORKSPACE, CONVERSATION, LIMIT],
    answers: RAW,
    ..PLAIN
};

/// Returns the schema of a preference; any may be sent, and one is known.
fn preference(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "examples": ["respond-async"] })
}
