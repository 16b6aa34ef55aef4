//! `/narrator`, and the same below `/api/workspaces/{id}`.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::JSON;
use super::operation::{Answer, Body, Content, Operation, Parameter};
use super::parameters::{LIMIT, WORKSPACE, header, query};
use crate::schema::definitions::refer;
use crate::schema::values::{Id, WorkspaceId};
use crate::{NarratorAccepted, NarratorFeed, NarratorMessage, RelayErrorBody};

const PLAIN: Operation = Operation {
    tag: "narrator",
    ..Operation::PLAIN
};

const QUERIED: Parameter = Parameter {
    is_required: true,
    ..query("workspaceId", "The workspace.", refer::<WorkspaceId>)
};
const CONVERSATION: Parameter = query("conversationId", "One conversation of it.", refer::<Id>);
const PREFER: Parameter = header("Prefer", "`respond-async` doesn't wait for the answer.", preference);

const RELAY_ERROR: &[(&str, Content)] = &[(JSON, Content::Type(refer::<RelayErrorBody>))];

const TOLD: &[Answer] = &[
    Answer::of(
        "202",
        "It was answered, or is worked on.",
        &[(JSON, Content::Type(refer::<NarratorAccepted>))],
    )
    .with(&["Preference-Applied"]),
    Answer::error("409", "The agent has no controller."),
    Answer::error("410", "The conversation was deleted."),
    Answer::error("429", "Too many messages are worked on, or came of late."),
    Answer::of("502", "The relay has failed.", RELAY_ERROR),
    Answer::error("503", "The server stops."),
    Answer::of("504", "The relay didn't answer in time.", RELAY_ERROR),
];

const FEED: &[Answer] = &[Answer::of(
    "200",
    "The feed.",
    &[(JSON, Content::Type(refer::<NarratorFeed>))],
)];
const RAW: &[Answer] = &[Answer::of("200", "The lines.", &[("application/jsonl", Content::Text)])];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "tellNarrator",
        method: "post",
        path: "/narrator/messages",
        summary: "Says something to a workspace's narrator",
        parameters: &[PREFER],
        body: Some(Body {
            needs: &["workspaceId", "message"],
            ..Body::json(refer::<NarratorMessage>, "What is said.")
        }),
        answers: TOLD,
        ..PLAIN
    },
    Operation {
        id: "getNarratorFeed",
        path: "/narrator/feed",
        summary: "Gives what a narrator has said, the newest first",
        parameters: &[QUERIED, CONVERSATION, LIMIT],
        answers: FEED,
        ..PLAIN
    },
    Operation {
        id: "getNarratorLog",
        path: "/narrator/raw",
        summary: "Gives the same as the log has it",
        parameters: &[QUERIED, CONVERSATION, LIMIT],
        answers: RAW,
        ..PLAIN
    },
    Operation {
        id: "tellWorkspaceNarrator",
        method: "post",
        path: "/api/workspaces/{id}/narrator/messages",
        summary: "As /narrator/messages",
        parameters: &[WORKSPACE, PREFER],
        body: Some(Body {
            leaves_out: &["workspaceId"],
            needs: &["message"],
            ..Body::json(
                refer::<NarratorMessage>,
                "What is said. A `workspaceId` may be there if it equals the path's.",
            )
        }),
        answers: TOLD,
        ..PLAIN
    },
    Operation {
        id: "getWorkspaceNarratorFeed",
        path: "/api/workspaces/{id}/narrator/feed",
        summary: "As /narrator/feed",
        parameters: &[WORKSPACE, CONVERSATION, LIMIT],
        answers: FEED,
        ..PLAIN
    },
    Operation {
        id: "getWorkspaceNarratorLog",
        path: "/api/workspaces/{id}/narrator/raw",
        summary: "As /narrator/raw",
        parameters: &[WORKSPACE, CONVERSATION, LIMIT],
        answers: RAW,
        ..PLAIN
    },
];

/// Any preference may be sent; one is known.
fn preference(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "examples": ["respond-async"] })
}
