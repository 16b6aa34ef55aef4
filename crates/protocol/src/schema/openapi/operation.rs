//! The types of the descriptions: operations, parameters, bodies, answers and links.

use serde_json::{Value, json};

use super::JSON;
use crate::ErrorBody;
use crate::routes::OperationId;
use crate::schema::definitions::{Refer, refer};

/// What one method of one path takes and answers.
pub(super) struct Operation {
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) parameters: &'static [Parameter],
    pub(super) body: Option<Body>,
    pub(super) answers: &'static [Answer],
}

/// The part of a request that holds a parameter.
#[derive(Clone, Copy)]
pub(super) enum Location {
    Path,
    Query,
    Header,
}

/// A parameter outside of a request's body.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) location: Location,
    pub(super) is_required: bool,
    pub(super) description: &'static str,
    pub(super) schema: Refer,
}

/// A request's body.
pub(super) struct Body {
    pub(super) media: &'static str,
    pub(super) description: &'static str,
    pub(super) schema: Refer,
    /// Keys of the type that this body doesn't have.
    pub(super) leaves_out: &'static [&'static str],
    /// Optional keys of the type that this body requires.
    pub(super) needs: &'static [&'static str],
    /// True if an empty body is the same as an empty object.
    pub(super) may_be_absent: bool,
}

/// The content of an answer in one media type.
#[derive(Clone, Copy)]
pub(super) enum Content {
    Type(Refer),
    Text,
}

/// An answer.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    pub(super) status: &'static str,
    pub(super) description: &'static str,
    pub(super) content: &'static [(&'static str, Content)],
    /// Headers other than the request id.
    pub(super) headers: &'static [&'static str],
    pub(super) links: &'static [Link],
}

/// An operation whose parameters are values of an answer.
pub(super) struct Link {
    /// The operation, whose id is the link's name too.
    pub(super) operation: OperationId,
    /// Parameters, and the expressions of their values.
    pub(super) parameters: &'static [(&'static str, &'static str)],
}

impl Operation {
    /// The defaults of an operation: it has no parameters and no body.
    pub(super) const PLAIN: Self = Self {
        tag: "",
        summary: "",
        parameters: &[],
        body: None,
        answers: &[],
    };
}

impl Body {
    /// Creates a JSON body.
    pub(super) const fn json(schema: Refer, description: &'static str) -> Self {
        Self {
            media: JSON,
            description,
            schema,
            leaves_out: &[],
            needs: &[],
            may_be_absent: false,
        }
    }
}

impl Answer {
    /// Creates an answer without a body.
    pub(super) const fn empty(status: &'static str, description: &'static str) -> Self {
        Self {
            status,
            description,
            content: &[],
            headers: &[],
            links: &[],
        }
    }

    /// Creates an answer with a body in these media types.
    pub(super) const fn of(
        status: &'static str,
        description: &'static str,
        content: &'static [(&'static str, Content)],
    ) -> Self {
        Self {
            content,
            ..Self::empty(status, description)
        }
    }

    /// Creates an answer that reports an error.
    pub(super) const fn error(status: &'static str, description: &'static str) -> Self {
        Self::of(status, description, &[(JSON, Content::Type(refer::<ErrorBody>))])
    }

    /// Adds headers to the answer.
    pub(super) const fn with(self, headers: &'static [&'static str]) -> Self {
        Self { headers, ..self }
    }

    /// Adds links to the answer.
    pub(super) const fn leading_to(self, links: &'static [Link]) -> Self {
        Self { links, ..self }
    }
}

/// Returns the description of an answer's header. `Retry-After` is sent only if the time is known.
pub(super) fn header(name: &str) -> Value {
    let (description, is_required, schema) = match name {
        "Retry-After" => ("Seconds to wait.", false, json!({ "type": "integer", "minimum": 1 })),
        "ETag" => (
            "The agent's version.",
            true,
            json!({ "type": "string", "pattern": "^\"[0-9a-f]{64}\"$" }),
        ),
        "Location" => (
            "The path of the resource.",
            true,
            json!({ "type": "string", "pattern": "^/" }),
        ),
        "WWW-Authenticate" => (
            "The required scheme.",
            true,
            json!({ "type": "string", "const": "Bearer" }),
        ),
        "Preference-Applied" => (
            "Sent if the response doesn't wait for the answer.",
            false,
            json!({ "type": "string", "const": "respond-async" }),
        ),
        "Cache-Control" => ("A stream must not be cached.", false, json!({ "type": "string" })),
        _ => ("", false, json!({ "type": "string" })),
    };
    json!({ "description": description, "required": is_required, "schema": schema })
}
