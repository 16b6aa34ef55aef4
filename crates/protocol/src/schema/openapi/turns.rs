//! The operations of `/conversations/{id}/turns`, and of the head that the next turn follows.

use super::JSON;
use super::operation::{Answer, Body, Content, Link, Operation};
use super::parameters::{CONVERSATION, TURN};
use crate::routes::OperationId;
use crate::schema::definitions::refer;
use crate::{CallOutput, HeadChoice, Message, Regenerate, TurnAccepted};

const PLAIN: Operation = Operation {
    tag: "turns",
    ..Operation::PLAIN
};

const NOT_FOUND: Answer = Answer::error("404", "There is no such conversation, or no such turn in it.");
const GONE: Answer = Answer::error("410", "The conversation was deleted.");

const BEGUN: &[Link] = &[
    conversation(OperationId::StartTurn),
    conversation(OperationId::GetConversation),
    conversation(OperationId::ListEvents),
    conversation(OperationId::ExportConversation),
    conversation(OperationId::SetHead),
    conversation(OperationId::DeleteConversation),
    Link {
        operation: OperationId::GetPrompt,
        parameters: &[("path.id", CONVERSATION_ID), ("query.turn", TURN_ID)],
    },
    turn(OperationId::RegenerateTurn),
    turn(OperationId::CancelTurn),
    turn(OperationId::AnswerTool),
];
const CONVERSATION_ID: &str = "$response.body#/conversationId";
const TURN_ID: &str = "$response.body#/turnId";

pub(super) const SET_HEAD: Operation = Operation {
    summary: "Chooses the turn that the next message follows",
    parameters: &[CONVERSATION],
    body: Some(Body::json(refer::<HeadChoice>, "The turn.")),
    answers: &[Answer::empty("204", "The next message follows it."), NOT_FOUND, GONE],
    ..PLAIN
};

pub(super) const START: Operation = Operation {
    summary: "Starts a turn, or joins the one with that `turnId`",
    parameters: &[CONVERSATION],
    body: Some(Body {
        leaves_out: &["conversationId", "apiKey"],
        needs: &["agentId"],
        ..Body::json(
            refer::<Message>,
            "The message. A `conversationId` may be present if it equals the path's; `parentTurnId` and `editTurnId` exclude each other.",
        )
    }),
    answers: &[
        Answer::of(
            "202",
            "The turn runs or waits.",
            &[(JSON, Content::Type(refer::<TurnAccepted>))],
        )
        .with(&["Location"])
        .leading_to(BEGUN),
        Answer::error("404", "There is no such agent."),
        Answer::error("409", "The `turnId` belongs to another message."),
        GONE,
        Answer::error("429", "Too many turns wait, or were started recently."),
        Answer::error("503", "The server is shutting down."),
    ],
    ..PLAIN
};

pub(super) const REGENERATE: Operation = Operation {
    summary: "Answers a turn's message once more, in a sibling",
    parameters: &[CONVERSATION, TURN],
    body: Some(Body {
        leaves_out: &["conversationId", "turnId", "apiKey"],
        may_be_absent: true,
        ..Body::json(
            refer::<Regenerate>,
            "What differs from the turn. `conversationId` and `turnId` may be present if they equal the path's.",
        )
    }),
    answers: &[
        Answer::of(
            "202",
            "The new turn runs or waits.",
            &[(JSON, Content::Type(refer::<TurnAccepted>))],
        )
        .with(&["Location"])
        .leading_to(BEGUN),
        NOT_FOUND,
        Answer::error("409", "The `newTurnId` belongs to another message."),
        GONE,
        Answer::error("429", "Too many turns wait, or were started recently."),
        Answer::error("503", "The server is shutting down."),
    ],
    ..PLAIN
};

pub(super) const CANCEL: Operation = Operation {
    summary: "Cancels a turn; one that is over stays as it is",
    parameters: &[CONVERSATION, TURN],
    answers: &[Answer::empty("202", "The turn ends soon."), NOT_FOUND, GONE],
    ..PLAIN
};

pub(super) const ANSWER_TOOL: Operation = Operation {
    summary: "Answers a call of a tool",
    parameters: &[CONVERSATION, TURN],
    body: Some(Body::json(refer::<CallOutput>, "The tool's output.")),
    answers: &[
        Answer::empty("202", "The model continues."),
        NOT_FOUND,
        Answer::error("409", "The turn has no such call without an output."),
        GONE,
    ],
    ..PLAIN
};

const fn conversation(operation: OperationId) -> Link {
    Link {
        operation,
        parameters: &[("path.id", CONVERSATION_ID)],
    }
}

const fn turn(operation: OperationId) -> Link {
    Link {
        operation,
        parameters: &[("path.id", CONVERSATION_ID), ("path.turnId", TURN_ID)],
    }
}
