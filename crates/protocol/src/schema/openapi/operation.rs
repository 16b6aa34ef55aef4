//! What the tables are made of.

use serde_json::{Value, json};

use super::JSON;
use crate::ErrorBody;
use crate::schema::definitions::{Refer, refer};

/// One method of one path.
#[derive(Clone)]
pub(super) struct Operation {
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    /// In lower case.
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    pub(super) parameters: &'static [Parameter],
    pub(super) body: Option<Body>,
    pub(super) answers: &'static [Answer],
    /// Whether it needs no key.
    pub(super) is_open: bool,
}

/// Where a parameter stands.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

/// Something that a request says outside of its body.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) is_required: bool,
    pub(super) description: &'static str,
    pub(super) schema: Refer,
}

/// A request's body.
#[derive(Clone)]
pub(super) struct Body {
    pub(super) media: &'static str,
    pub(super) description: &'static str,
    pub(super) schema: Refer,
    /// Keys of the type that have no place here.
    pub(super) leaves_out: &'static [&'static str],
    /// Keys of the type that may not be left out here.
    pub(super) needs: &'static [&'static str],
    /// No body is the same as an empty object.
    pub(super) may_be_absent: bool,
}

/// What is in an answer, by media type.
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
    /// Beside the request's name.
    pub(super) headers: &'static [&'static str],
    pub(super) links: &'static [Link],
}

/// What may be asked for with what an answer says.
pub(super) struct Link {
    /// The operation's id, which is the link's name too.
    pub(super) operation: &'static str,
    /// Parameters, and where their values are.
    pub(super) parameters: &'static [(&'static str, &'static str)],
}

impl Operation {
    /// An operation as most are: behind the key, with nothing particular.
    pub(super) const PLAIN: Self = Self {
        id: "",
        tag: "",
        method: "get",
        path: "",
        summary: "",
        parameters: &[],
        body: None,
        answers: &[],
        is_open: false,
    };
}

impl Body {
    /// A body of JSON.
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
    /// An answer without a body.
    pub(super) const fn empty(status: &'static str, description: &'static str) -> Self {
        Self {
            status,
            description,
            content: &[],
            headers: &[],
            links: &[],
        }
    }

    /// An answer with a body of these media types.
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

    /// A fault.
    pub(super) const fn error(status: &'static str, description: &'static str) -> Self {
        Self::of(status, description, &[(JSON, Content::Type(refer::<ErrorBody>))])
    }

    /// The same with more headers.
    pub(super) const fn with(self, headers: &'static [&'static str]) -> Self {
        Self { headers, ..self }
    }

    /// The same with links.
    pub(super) const fn leading_to(self, links: &'static [Link]) -> Self {
        Self { links, ..self }
    }
}

/// A header of an answer. `Retry-After` comes only where the time is known.
pub(super) fn header(name: &str) -> Value {
    let (description, is_required, schema) = match name {
        "Retry-After" => ("Seconds to wait.", false, json!({ "type": "integer", "minimum": 1 })),
        "ETag" => (
            "The agent's version.",
            true,
            json!({ "type": "string", "pattern": "^\"[0-9a-f]{64}\"$" }),
        ),
        "Location" => ("Where it is.", true, json!({ "type": "string", "pattern": "^/" })),
        "WWW-Authenticate" => ("What is wanted.", true, json!({ "type": "string", "const": "Bearer" })),
        "Preference-Applied" => (
            "Says that nobody waits for the answer.",
            false,
            json!({ "type": "string", "const": "respond-async" }),
        ),
        "Cache-Control" => ("Nothing of a stream is kept.", false, json!({ "type": "string" })),
        _ => ("", false, json!({ "type": "string" })),
    };
    json!({ "description": description, "required": is_required, "schema": schema })
}
