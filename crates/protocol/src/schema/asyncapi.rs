//! Generates `asyncapi.json` (3.0): the socket `/ws/chat`, with each of its frames and events as a message.
//!
//! Each message is a variant of [`ClientMessage`] or [`ServerEvent`], so none can be missing. AsyncAPI reads schemas as
//! draft 7, which ignores keywords beside a reference, so parts are joined by `allOf`.

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::definitions::generator;
use super::written;
use crate::{ClientMessage, Envelope, ServerEvent};

/// Frames whose `type` may be absent: a frame with the key `message` is a message, and any other one a hello.
const WITHOUT_TYPE: [&str; 2] = ["hello", "message"];

/// Returns the AsyncAPI document of the socket.
#[must_use]
pub fn asyncapi() -> String {
    let mut generator = generator("/components/schemas");
    let envelope = json!(generator.subschema_for::<Envelope>());
    let frames = variants::<ClientMessage>(&mut generator, "ClientMessage");
    let frames = messages("client", frames, |name, fields, own| {
        let required: &[_] = if WITHOUT_TYPE.contains(&name) { &[] } else { &["type"] };
        json!({ "allOf": [{ "type": "object", "properties": fields, "required": required }, own] })
    });
    let events = variants::<ServerEvent>(&mut generator, "ServerEvent");
    let events = messages(
        "server",
        events,
        |_, fields, own| json!({ "allOf": [{ "type": "object", "properties": fields, "required": ["type"] }, own, envelope] }),
    );
    let operations = json!({
        "receiveFrames": operation("receive", "What a client sends", &frames),
        "sendEvents": operation("send", "What the server sends", &events),
    });
    let messages: Map<String, Value> = frames.into_iter().chain(events).collect();
    let references = messages
        .keys()
        .map(|key| (key.clone(), reference("components/messages", key)));
    let references: Map<String, Value> = references.collect();
    written(&json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "streaming-llm-sidecar",
            "description": "Keys are written in camelCase, and the spellings in `x-aliases` are accepted too; a key in two spellings must have equal values. A key that is `null` counts as absent, except in `options`. The HTTP routes are in /openapi.json.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "local": {
                "host": "localhost:8000",
                "protocol": "ws",
                "description": "The default address",
                "security": [{ "$ref": "#/components/securitySchemes/key" }],
            },
        },
        "channels": { "chat": channel(&references) },
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Required if the server has a key set; the first frame's `apiKey` may hold it instead.",
                },
            },
        },
    }))
}

fn channel(messages: &Map<String, Value>) -> Value {
    json!({
        "address": "/ws/chat",
        "description": "Text frames, each one JSON object. The subprotocol `sidecar.v1` is offered and never required.",
        "servers": [{ "$ref": "#/servers/local" }],
        "messages": messages,
        "bindings": { "ws": { "method": "GET", "bindingVersion": "0.1.0" } },
    })
}

fn operation(action: &str, summary: &str, messages: &[(String, Value)]) -> Value {
    let messages = messages.iter().map(|(key, _)| reference("channels/chat/messages", key));
    json!({
        "action": action,
        "channel": reference("channels", "chat"),
        "summary": summary,
        "messages": messages.collect::<Vec<_>>(),
    })
}

fn reference(path: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/{path}/{name}") })
}

/// Returns the schemas of a tagged enum's variants, and removes the definition of the enum itself.
fn variants<T: schemars::JsonSchema>(generator: &mut SchemaGenerator, name: &str) -> Vec<Value> {
    generator.subschema_for::<T>();
    let definition = generator.definitions_mut().remove(name).unwrap_or_default();
    definition["oneOf"].as_array().cloned().unwrap_or_default()
}

/// Returns a message for each variant, with its key. `payload` is called with the variant's name, its property `type`,
/// and the reference to its own fields.
fn messages(side: &str, variants: Vec<Value>, payload: impl Fn(&str, &Value, Value) -> Value) -> Vec<(String, Value)> {
    let message = |variant: Value| {
        let name = variant["properties"]["type"]["const"].as_str().unwrap_or_default();
        let message = json!({
            "name": name,
            "summary": variant["description"],
            "payload": payload(name, &variant["properties"], json!({ "$ref": variant["$ref"] })),
        });
        (format!("{side}.{name}"), message)
    };
    variants.into_iter().map(message).collect()
}
