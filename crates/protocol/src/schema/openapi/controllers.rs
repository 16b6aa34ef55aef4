//! The operations of `/controllers`.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::JSON;
use super::operation::{Answer, Body, Content, Link, Operation, Parameter};
use super::parameters::{REGISTRATION, header};
use crate::routes::OperationId;
use crate::schema::definitions::refer;
use crate::{
    ControllerEvents, ControllerKeptAlive, ControllerLease, ControllerList, ControllerPublished, ControllerRegistration,
};

const PLAIN: Operation = Operation {
    tag: "controllers",
    ..Operation::PLAIN
};

const TOKEN: Parameter = header("X-Controller-Token", "The token of the lease; without it 403.", token);

const NOT_HELD: &[Answer] = &[
    Answer::error("403", "The token is missing or that of another lease."),
    Answer::error("409", "The lease is over, or never existed."),
];

pub(super) const LIST: Operation = Operation {
    summary: "Lists the controllers with an active lease",
    answers: &[Answer::of(
        "200",
        "The controllers.",
        &[(JSON, Content::Type(refer::<ControllerList>))],
    )],
    ..PLAIN
};

pub(super) const REGISTER: Operation = Operation {
    summary: "Grants a lease, or takes one over with its token",
    parameters: &[header(
        "X-Controller-Token",
        "The token of the lease that is taken over.",
        token,
    )],
    body: Some(Body::json(refer::<ControllerRegistration>, "The agent and workspace.")),
    answers: &[
        Answer::of("201", "The lease.", &[(JSON, Content::Type(refer::<ControllerLease>))])
            .with(&["Location"])
            .leading_to(&[
                link(OperationId::KeepControllerAlive),
                link(OperationId::PublishEvents),
                link(OperationId::ReleaseController),
            ]),
        Answer::error("409", "Another controller holds the lease."),
        Answer::error("429", "There are too many controllers."),
    ],
    ..PLAIN
};

pub(super) const RELEASE: Operation = Operation {
    summary: "Ends a lease",
    parameters: &[REGISTRATION, TOKEN],
    answers: &[Answer::empty("204", "The lease is over."), NOT_HELD[0], NOT_HELD[1]],
    ..PLAIN
};

pub(super) const KEEP_ALIVE: Operation = Operation {
    summary: "Renews a lease",
    parameters: &[REGISTRATION, TOKEN],
    answers: &[
        Answer::of(
            "200",
            "The lease.",
            &[(JSON, Content::Type(refer::<ControllerKeptAlive>))],
        ),
        NOT_HELD[0],
        NOT_HELD[1],
    ],
    ..PLAIN
};

pub(super) const PUBLISH: Operation = Operation {
    summary: "Publishes events in a conversation's log, all of them or none",
    parameters: &[REGISTRATION, TOKEN],
    body: Some(Body::json(refer::<ControllerEvents>, "The events.")),
    answers: &[
        Answer::of(
            "200",
            "They are in the log.",
            &[(JSON, Content::Type(refer::<ControllerPublished>))],
        ),
        NOT_HELD[0],
        Answer::error("404", "There is no such turn."),
        NOT_HELD[1],
        Answer::error("410", "The conversation was deleted."),
    ],
    ..PLAIN
};

const fn link(operation: OperationId) -> Link {
    Link {
        operation,
        parameters: &[
            ("path.id", "$response.body#/registrationId"),
            ("header.X-Controller-Token", "$response.body#/token"),
        ],
    }
}

fn token(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string" })
}
