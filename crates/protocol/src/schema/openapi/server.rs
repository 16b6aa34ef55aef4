//! The operations of the server itself: health, readiness, metrics, models, documents and the socket.

use super::JSON;
use super::operation::{Answer, Content, Operation};
use crate::schema::definitions::{Refer, refer};
use crate::{Health, ModelList, Readiness};

const PLAIN: Operation = Operation {
    tag: "server",
    ..Operation::PLAIN
};

const ALIVE: &[Answer] = &[Answer::of("200", "The process serves.", &[json(refer::<Health>)])];

const DOCUMENT: &[Answer] = &[Answer::of("200", "The document.", &[(JSON, Content::Type(any_object))])];

pub(super) const HEALTH: Operation = Operation {
    summary: "Reports that the process serves",
    answers: ALIVE,
    ..PLAIN
};

pub(super) const HEALTH_ALIAS: Operation = Operation {
    summary: "As /healthz",
    answers: ALIVE,
    ..PLAIN
};

pub(super) const READINESS: Operation = Operation {
    summary: "Reports whether a turn would be answered now",
    answers: &[
        Answer::of("200", "A turn would be answered.", &[json(refer::<Readiness>)]),
        Answer::error(
            "503",
            "The model is loading or can't be loaded, or the server is shutting down.",
        ),
    ],
    ..PLAIN
};

pub(super) const METRICS: Operation = Operation {
    summary: "Returns the metrics in Prometheus' text format",
    answers: &[Answer::of("200", "The metrics.", &[("text/plain", Content::Text)])],
    ..PLAIN
};

pub(super) const MODELS: Operation = Operation {
    summary: "Lists the models that may be asked for, and those that the drivers' servers have",
    answers: &[Answer::of("200", "The models.", &[json(refer::<ModelList>)])],
    ..PLAIN
};

pub(super) const OPENAPI: Operation = Operation {
    summary: "Returns this document",
    answers: DOCUMENT,
    ..PLAIN
};

pub(super) const ASYNCAPI: Operation = Operation {
    summary: "Returns the document of the WebSocket",
    answers: DOCUMENT,
    ..PLAIN
};

pub(super) const SOCKET: Operation = Operation {
    summary: "Upgrades to the WebSocket that /asyncapi.json describes; its first frame may hold the key instead",
    answers: &[
        Answer::empty("101", "The socket is open.").with(&["Sec-WebSocket-Accept"]),
        Answer::error("400", "The request is not a WebSocket handshake."),
        Answer::error("429", "There are too many sockets, or too many were opened recently.").with(&["Retry-After"]),
        Answer::error("503", "The server is shutting down."),
    ],
    ..PLAIN
};

const fn json(refer: Refer) -> (&'static str, Content) {
    (JSON, Content::Type(refer))
}

fn any_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object" })
}
