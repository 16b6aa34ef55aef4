//! The operations of `/conversations` that read, delete, export and import.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::JSON;
use super::operation::{Answer, Body, Content, Operation, Parameter};
use super::parameters::{CONVERSATION, LIMIT, cursor, header, query, seq, up_to_200};
use crate::schema::definitions::refer;
use crate::texts::Id;
use crate::{Conversation, ConversationImported, ConversationPage, EventPage, Prompt};

const PLAIN: Operation = Operation {
    tag: "conversations",
    ..Operation::PLAIN
};

const NOT_FOUND: Answer = Answer::error("404", "There is no such conversation.");
const GONE: Answer = Answer::error("410", "The conversation was deleted.");
const DELETED: &[Answer] = &[Answer::empty("204", "The conversation was deleted."), NOT_FOUND, GONE];
const ONE: &[Answer] = &[
    Answer::of(
        "200",
        "The conversation.",
        &[(JSON, Content::Type(refer::<Conversation>))],
    ),
    NOT_FOUND,
    GONE,
];
const AFTER: Parameter = query("cursor", "The `nextCursor` of the previous page.", seq);
const TURNS: Parameter = query("limit", "How many turns at most; 100 by default.", up_to_200);
const JSON_LINES: &str = "application/jsonl";

pub(super) const LIST: Operation = Operation {
    summary: "Lists the conversations, newest first",
    parameters: &[query("cursor", "The `nextCursor` of the previous page.", cursor), LIMIT],
    answers: &[Answer::of(
        "200",
        "A page of conversations.",
        &[(JSON, Content::Type(refer::<ConversationPage>))],
    )],
    ..PLAIN
};

pub(super) const GET: Operation = Operation {
    summary: "Returns a conversation with a page of its turns, oldest first",
    parameters: &[CONVERSATION, AFTER, TURNS],
    answers: ONE,
    ..PLAIN
};

pub(super) const DELETE: Operation = Operation {
    summary: "Stops a conversation's turns and deletes it",
    parameters: &[CONVERSATION],
    answers: DELETED,
    ..PLAIN
};

pub(super) const GET_IMPORT: Operation = Operation {
    summary: "As /conversations/{id}, for a conversation with the id `import`",
    parameters: &[AFTER, TURNS],
    answers: ONE,
    ..PLAIN
};

pub(super) const DELETE_IMPORT: Operation = Operation {
    summary: "As /conversations/{id}",
    answers: DELETED,
    ..PLAIN
};

pub(super) const EVENTS: Operation = Operation {
    summary: "Returns a part of the log, or with `Accept: text/event-stream` the whole log and all later events",
    parameters: &[
        CONVERSATION,
        query("after", "The last `seq` that the client has; 0 by default.", seq),
        query(
            "limit",
            "How many events at most, except in a stream; 500 by default.",
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
};

pub(super) const PROMPT: Operation = Operation {
    summary: "Returns the prompt that the model saw for a turn",
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
        Answer::error("413", "The epoch is too long to be shown."),
        Answer::error("503", "The model isn't loaded."),
    ],
    ..PLAIN
};

pub(super) const EXPORT: Operation = Operation {
    summary: "Exports a conversation",
    parameters: &[CONVERSATION],
    answers: &[
        Answer::of("200", "The conversation.", &[(JSON_LINES, Content::Text)]),
        NOT_FOUND,
        GONE,
        Answer::error("429", "A turn of the conversation runs or waits."),
    ],
    ..PLAIN
};

pub(super) const IMPORT: Operation = Operation {
    summary: "Imports an exported conversation",
    parameters: &[query(
        "as",
        "The conversation's new id, in place of its own.",
        refer::<Id>,
    )],
    body: Some(Body {
        media: JSON_LINES,
        ..Body::json(text, "JSON Lines of an export: at most 1 GiB, and 16 MiB in a line.")
    }),
    answers: &[
        Answer::of(
            "201",
            "The conversation was imported.",
            &[(JSON, Content::Type(refer::<ConversationImported>))],
        )
        .with(&["Location"]),
        Answer::error("409", "A conversation has this id."),
        GONE,
    ],
    ..PLAIN
};

fn up_to_1_000(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": 1_000 })
}

fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1 })
}
