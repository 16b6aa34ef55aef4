//! Adds the alternative spellings of keys to their schemas.

use schemars::Schema;
use serde_json::{Value, json};

use crate::client::reading::FRAME;
use crate::fields::Table;
use crate::options::OPTIONS;

/// The keyword that lists the other spellings of a key. JSON Schema has no keyword for a key that may occur in one
/// spelling, or in several with equal values.
const ALIASES: &str = "x-aliases";

/// Adds the alternative spellings of a frame's keys.
pub(crate) fn frame_spellings(schema: &mut Schema) {
    add(schema, &FRAME);
}

/// Adds the alternative spellings of the options' keys.
pub(crate) fn option_spellings(schema: &mut Schema) {
    add(schema, &OPTIONS);
}

fn add(schema: &mut Schema, table: &Table) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        let key = table.keys.iter().find(|key| key.spellings[0] == name);
        let aliases = key.map_or(&[][..], |key| &key.spellings[1..]);
        if let (false, Some(property)) = (aliases.is_empty(), property.as_object_mut()) {
            property.insert(ALIASES.to_owned(), json!(aliases));
        }
    }
}
