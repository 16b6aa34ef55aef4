//! `/conversations`: read, deleted, exported and imported.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::JSON;
use super::operation::{Answer, Body, Content, Operation, Parameter};
use super::parameters::{CONVERSATION, LIMIT, cursor, header, query, seq, up_to_200};
use crate::schema::definitions::refer;
use crate::schema::values::Id;
use crate::{Conversation, ConversationImported, ConversationPage, EventPage, Prompt};

const PLAIN: Operation = Operation {
    tag: "conversations",
    path: "/conversations/{id}",
    ..Operation::PLAIN
};

const NOT_FOUND: Answer = Answer::error("404", "There is no such conversation.");
const GONE: Answer = Answer::error("410", "The conversation was deleted.");
const DELETED: &[Answer] = &[Answer::empty("204", "The conversation is gone."), NOT_FOUND, GONE];
const ONE: &[Answer] = &[
    Answer::of(
        "200",
        "The conversation.",
        &[(JSON, Content::Type(refer::<Conversation>))],
    ),
    NOT_FOUND,
    GONE,
];
const AFTER: Parameter = query("cursor", "The `nextCursor` of the page before.", seq);
const TURNS: Parameter = query("limit", "How many turns at most; 100 by default.", up_to_200);
const JSON_LINES: &str = "application/jsonl";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "listConversations",
        path: "/conversations",
        summary: "Lists the conversations, the newest first",
        parameters: &[query("cursor", "The `nextCursor` of the page before.", cursor), LIMIT],
        answers: &[Answer::of(
            "200",
            "A page of them.",
            &[(JSON, Content::Type(refer::<ConversationPage>))],
        )],
        ..PLAIN
    },
    Operation {
        id: "getConversation",
        summary: "Gives a conversation with a page of its turns, the oldest first",
        parameters: &[CONVERSATION, AFTER, TURNS],
        answers: ONE,
        ..PLAIN
    },
    Operation {
        id: "deleteConversation",
        method: "delete",
        summary: "Stops what runs in a conversation and deletes it",
        parameters: &[CONVERSATION],
        answers: DELETED,
        ..PLAIN
    },
    Operation {
        id: "getConversationImport",
        path: "/conversations/import",
        summary: "As /conversations/{id}: a conversation may have the name `import`",
        parameters: &[AFTER, TURNS],
        answers: ONE,
        ..PLAIN
    },
    Operation {
        id: "deleteConversationImport",
        method: "delete",
        path: "/conversations/import",
        summary: "As /conversations/{id}",
        answers: DELETED,
        ..PLAIN
    },
    Operation {
        id: "listEvents",
        path: "/conversations/{id}/events",
        summary: "Gives a part of the log, or with `Accept: text/event-stream` all of it and what is still to come",
        parameters: &[
            CONVERSATION,
            query("after", "The last `seq` that is known; 0 by default.", seq),
            query(
                "limit",
                "How many events at most, but for a stream; 500 by default.",
                up_to_1_000,
            ),
            header("Last-Event-ID", "For a stream, in place of `after`.", seq),
        ],
        answers: &[
            Answer::of(
                "200",
                "The events.",
                &[
                    (JSON, Content::Type(refer::<EventPage>)),
                    ("text/event-stream", Content::Text),
                ],
            )
            .with(&["Cache-Control"]),
            NOT_FOUND,
            GONE,
            Answer::error("429", "There are too many readers."),
        ],
        ..PLAIN
    },
    Operation {
        id: "getPrompt",
        path: "/conversations/{id}/prompt",
        summary: "Gives what the model saw of a turn",
        parameters: &[
            CONVERSATION,
            Parameter {
                is_required: true,
                ..query("turn", "The turn.", refer::<Id>)
            },
        ],
        answers: &[
            Answer::of("200", "The prompt.", &[(JSON, Content::Type(refer::<Prompt>))]),
            Answer::error("404", "There is no such conversation, or no such turn in it."),
            GONE,
            Answer::error("413", "The epoch is longer than can be shown."),
            Answer::error("503", "The model isn't loaded."),
        ],
        ..PLAIN
    },
    Operation {
        id: "exportConversation",
        path: "/conversations/{id}/export",
        summary: "Gives a whole conversation",
        parameters: &[CONVERSATION],
        answers: &[
            Answer::of("200", "The conversation.", &[(JSON_LINES, Content::Text)]),
            NOT_FOUND,
            GONE,
            Answer::error("429", "A turn of it runs or waits."),
        ],
        ..PLAIN
    },
    Operation {
        id: "importConversation",
        method: "post",
        path: "/conversations/import",
        summary: "Takes what an export gave",
        parameters: &[query("as", "The conversation's id, in place of its own.", refer::<Id>)],
        body: Some(Body {
            media: JSON_LINES,
            ..Body::json(
                text,
                "JSON Lines, as an export gives them: at most 1 GiB, and 16 MiB in a line.",
            )
        }),
        answers: &[
            Answer::of(
                "201",
                "It is there.",
                &[(JSON, Content::Type(refer::<ConversationImported>))],
            )
            .with(&["Location"]),
            Answer::error("409", "There is a conversation of that id."),
            GONE,
        ],
        ..PLAIN
    },
];

fn up_to_1_000(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": 1_000 })
}

fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1 })
}
