//! Generates the JSON Schema (2020-12) of the wire types, each under its name.

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

/// Returns one JSON Schema document without a root schema, which has each wire type as a definition.
#[must_use]
pub fn json_schema() -> String {
    let mut generator = generator("/$defs");
    for add in roots() {
        add(&mut generator);
    }
    written(&json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The sidecar's wire types",
        "description": "The spellings in `x-aliases` are accepted for a key too.",
        "$defs": generator.take_definitions(true),
    }))
}

/// A function that returns a reference to a type's schema and adds its definition to the generator.
pub(super) type Refer = fn(&mut SchemaGenerator) -> Schema;

/// Returns a reference to the schema of `T` and adds its definition to the generator.
pub(super) fn refer<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Creates a generator whose references point to definitions below `path`.
///
/// An optional key is declared as such in its type, so requests and answers share their schemas.
pub(super) fn generator(path: &'static str) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings
        .with(|settings| settings.definitions_path = path.into())
        .with_transform(without_links)
        .into_generator()
}

/// Replaces rustdoc links by their text in all descriptions, since their targets don't exist outside of rustdoc.
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

/// Returns the types from which all others are reached.
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
