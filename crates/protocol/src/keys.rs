//! The keys of frames and options with all their spellings, which parsers accept and schemas list.

use schemars::Schema;
use serde_json::{Value, json};

use crate::fields::{Key, Table};

/// All keys of all frames. Older clients spell `message` as `user_message`.
pub(crate) const FRAME: Table = Table {
    keys: &[
        Key::new(&["type"]),
        Key::new(&["message", "user_message", "userMessage"]),
        Key::new(&["agentId", "agent_id"]),
        Key::new(&["conversationId", "conversation_id"]),
        Key::new(&["turnId", "turn_id"]),
        Key::new(&["parentTurnId", "parent_turn_id"]),
        Key::new(&["editTurnId", "edit_turn_id"]),
        Key::new(&["newTurnId", "new_turn_id"]),
        Key::new(&["apiKey", "api_key"]),
        Key::new(&["after"]),
        Key::new(&["own"]),
        Key::new(&["id"]),
        Key::new(&["tools"]),
        Key::new(&["callId", "call_id"]),
        Key::new(&["output"]),
        Key {
            spellings: &["options"],
            holds_options: true,
        },
    ],
    options: Some(&OPTIONS),
    closed: false,
};

/// The keys that name a frame's turn and conversation.
pub(crate) const SUBJECT: Table = Table {
    keys: &[
        Key::new(&["type"]),
        Key::new(&["newTurnId", "new_turn_id"]),
        Key::new(&["conversationId", "conversation_id"]),
        Key::new(&["turnId", "turn_id"]),
    ],
    options: None,
    closed: false,
};

/// The keys of an options object.
pub(crate) const OPTIONS: Table = Table {
    keys: &[
        Key::new(&["temperature"]),
        Key::new(&["topP", "top_p"]),
        Key::new(&["topK", "top_k"]),
        Key::new(&["minP", "min_p"]),
        Key::new(&["repeatPenalty", "repeat_penalty"]),
        Key::new(&["seed"]),
        Key::new(&["maxNewTokens", "max_new_tokens"]),
        Key::new(&["stop"]),
        Key::new(&["sinkTokens", "sink_tokens"]),
        Key::new(&["windowTokens", "window_tokens"]),
        Key::new(&["model"]),
    ],
    options: None,
    closed: true,
};

/// The keyword that lists the other spellings of a key. JSON Schema has no keyword for a key that may occur in one
/// spelling, or in several with equal values.
const ALIASES: &str = "x-aliases";

/// Adds the alternative spellings of a frame's keys.
pub(crate) fn add_frame_spellings(schema: &mut Schema) {
    add(schema, &FRAME);
}

/// Adds the alternative spellings of the options' keys.
pub(crate) fn add_option_spellings(schema: &mut Schema) {
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
