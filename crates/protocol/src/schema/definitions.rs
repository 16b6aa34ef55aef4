//! The types as JSON Schema (2020-12), each under its name.

use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::written;
use crate::{
    AgentDraft, AgentList, CallOutput, ClientMessage, ControllerEvents, ControllerKeptAlive, ControllerLease,
    ControllerList, ControllerPublished, ControllerRegistration, Conversation, ConversationImported, ConversationPage,
    ErrorBody, EventPage, HeadChoice, Health, ModelList, NarratorAccepted, NarratorFeed, NarratorMessage, Prompt,
    Readiness, RelayErrorBody, TurnAccepted,
};

/// Every wire type as one JSON Schema document: none is its root, each is one of its definitions.
#[must_use]
pub fn json_schema() -> String {
    let mut generator = generator("/$defs");
    for add in roots() {
        add(&mut generator);
    }
    written(&json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What is said on the sidecar's wire",
        "description": "Keys with `x-aliases` are understood in those spellings too.",
        "$defs": generator.take_definitions(true),
    }))
}

/// Makes a reference to a type, and sees to its definition.
pub(super) type Refer = fn(&mut SchemaGenerator) -> Schema;

/// As [`Refer`].
pub(super) fn refer<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A generator whose references are to definitions below `path`.
///
/// A key that may be left out is marked where its type is declared, so requests and answers need no schemas of their own.
pub(super) fn generator(path: &'static str) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings
        .with(|settings| settings.definitions_path = path.into())
        .with_transform(without_links)
        .into_generator()
}

/// Takes the marks of a link in Rust's documentation away, whose target nobody has here.
pub(super) fn without_links(schema: &mut Schema) {
    transform_subschemas(&mut without_links, schema);
    let Some(Value::String(text)) = schema.get_mut("description") else {
        return;
    };
    while let Some((before, (name, after))) = text
        .split_once("[`")
        .and_then(|(before, rest)| Some((before, rest.split_once("`]")?)))
    {
        let target = after.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let after = target.map_or(after, |(_, after)| after);
        *text = format!("{before}`{name}`{after}");
    }
}

/// Types that bring all others along.
fn roots() -> [Refer; 25] {
    [
        refer::<ClientMessage>,
        refer::<EventPage>,
        refer::<ErrorBody>,
        refer::<RelayErrorBody>,
        refer::<AgentList>,
        refer::<AgentDraft>,
        refer::<ConversationPage>,
        refer::<Conversation>,
        refer::<ConversationImported>,
        refer::<TurnAccepted>,
        refer::<CallOutput>,
        refer::<HeadChoice>,
        refer::<Prompt>,
        refer::<ModelList>,
        refer::<Health>,
        refer::<Readiness>,
        refer::<NarratorMessage>,
        refer::<NarratorAccepted>,
        refer::<NarratorFeed>,
        refer::<ControllerRegistration>,
        refer::<ControllerLease>,
        refer::<ControllerKeptAlive>,
        refer::<ControllerList>,
        refer::<ControllerEvents>,
        refer::<ControllerPublished>,
    ]
}
