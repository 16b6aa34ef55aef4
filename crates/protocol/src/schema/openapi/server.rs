//! The process itself: alive, ready, counted, documented.

use super::JSON;
use super::operation::{Answer, Content, Operation};
use crate::schema::definitions::{Refer, refer};
use crate::{Health, ModelList, Readiness};

const SERVER: Operation = Operation {
    tag: "server",
    ..Operation::PLAIN
};

const OPEN: Operation = Operation {
    is_open: true,
    ..SERVER
};

const ALIVE: &[Answer] = &[Answer::of("200", "It serves.", &[json(refer::<Health>)])];

const DOCUMENT: &[Answer] = &[Answer::of("200", "The document.", &[(JSON, Content::Type(any_object))])];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "getHealth",
        path: "/healthz",
        summary: "Says that the process serves",
        answers: ALIVE,
        ..OPEN
    },
    Operation {
        id: "getHealthAlias",
        path: "/health",
        summary: "As /healthz",
        answers: ALIVE,
        ..OPEN
    },
    Operation {
        id: "getReadiness",
        path: "/readyz",
        summary: "Says whether a turn would be answered now",
        answers: &[
            Answer::of("200", "It would.", &[json(refer::<Readiness>)]),
            Answer::error("503", "The model loads or can't be loaded, or the server stops."),
        ],
        ..OPEN
    },
    Operation {
        id: "getMetrics",
        path: "/metrics",
        summary: "Gives the counts in Prometheus' text format",
        answers: &[Answer::of("200", "The counts.", &[("text/plain", Content::Text)])],
        ..SERVER
    },
    Operation {
        id: "listModels",
        path: "/models",
        summary: "Lists the models that may be asked for, and those that the drivers' servers have",
        answers: &[Answer::of("200", "The models.", &[json(refer::<ModelList>)])],
        ..SERVER
    },
    Operation {
        id: "getOpenApi",
        path: "/openapi.json",
        summary: "Gives this document",
        answers: DOCUMENT,
        ..SERVER
    },
    Operation {
        id: "getAsyncApi",
        path: "/asyncapi.json",
        summary: "Gives the document of the WebSocket",
        answers: DOCUMENT,
        ..SERVER
    },
    Operation {
        id: "openSocket",
        path: "/ws/chat",
        summary: "Upgrades to the WebSocket that /asyncapi.json describes; a key may come in its first frame instead",
        answers: &[
            Answer::empty("101", "The socket is open.").with(&["Sec-WebSocket-Accept"]),
            Answer::error("400", "The handshake is none."),
            Answer::error("429", "There are too many sockets, or too many of late.").with(&["Retry-After"]),
            Answer::error("503", "The server stops."),
        ],
        ..SERVER
    },
];

const fn json(refer: Refer) -> (&'static str, Content) {
    (JSON, Content::Type(refer))
}

fn any_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object" })
}
