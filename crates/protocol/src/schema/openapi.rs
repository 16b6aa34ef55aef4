//! Generates `openapi.json` (3.1): the paths of `routes`, with a description of each operation.
//!
//! A description holds what is particular to an operation; what all operations share (authentication, a body that is
//! too large, the request id) is added here.

mod agents;
mod controllers;
mod conversations;
mod descriptions;
mod narrator;
mod operation;
mod parameters;
mod server;
mod turns;

use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::definitions::{generator, without_links};
use super::written;
use crate::routes::{OperationId, PATHS, PathItem};
use operation::{Answer, Body, Content, Link, Location, Operation, Parameter};

/// The media type of JSON bodies.
const JSON: &str = "application/json";

/// The header of all answers that identifies the request.
const REQUEST_ID: &str = "X-Request-Id";

/// Returns the OpenAPI document of the HTTP routes.
#[must_use]
pub fn openapi() -> String {
    let mut generator = generator("/components/schemas");
    let paths = PATHS.iter().map(|item| (item.path, path_item(item, &mut generator)));
    let paths: Value = paths.collect();
    written(&json!({
        "openapi": "3.1.0",
        "info": {
            "title": "streaming-llm-sidecar",
            "description": "Streaming chat with agents, for the programs of one computer. The WebSocket is described in /asyncapi.json.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The server of this document" }],
        "security": [{ "key": [] }],
        "tags": tags(),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": { "type": "http", "scheme": "bearer", "description": "Required if the server has a key set." },
            },
            "responses": common_answers(&mut generator),
            "headers": {
                REQUEST_ID: {
                    "description": "The request's own `X-Request-Id` if that is 1 to 64 visible ASCII characters, else a new one.",
                    "required": true,
                    "schema": { "type": "string", "minLength": 1, "maxLength": 64 },
                },
            },
            "schemas": generator.take_definitions(true),
        },
    }))
}

fn tags() -> Value {
    json!([
        { "name": "server", "description": "The server itself" },
        { "name": "agents", "description": "The agents that answer" },
        { "name": "conversations", "description": "Conversations and their logs" },
        { "name": "turns", "description": "Turns without a socket" },
        { "name": "narrator", "description": "A workspace's narrator" },
        { "name": "controllers", "description": "Programs that publish for agents" },
    ])
}

fn path_item(item: &PathItem, generator: &mut SchemaGenerator) -> Value {
    let operations = item.operations.iter();
    operations
        .map(|&(method, id)| (method.as_str().to_lowercase(), described(id, generator)))
        .collect()
}

fn described(id: OperationId, generator: &mut SchemaGenerator) -> Value {
    let operation = &descriptions::description(id);
    let mut described = json!({
        "operationId": id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": answers(id, operation, generator),
    });
    if OperationId::WITHOUT_KEY.contains(&id) {
        described["security"] = json!([]);
    }
    if !operation.parameters.is_empty() {
        let parameters = operation.parameters.iter();
        described["parameters"] = parameters
            .map(|parameter| self::parameter(parameter, generator))
            .collect();
    }
    if let Some(body) = &operation.body {
        described["requestBody"] = self::body(body, generator);
    }
    described
}

fn parameter(parameter: &Parameter, generator: &mut SchemaGenerator) -> Value {
    json!({
        "name": parameter.name,
        "in": match parameter.location {
            Location::Path => "path",
            Location::Query => "query",
            Location::Header => "header",
        },
        "required": parameter.is_required,
        "description": parameter.description,
        "schema": (parameter.schema)(generator),
    })
}

fn body(body: &Body, generator: &mut SchemaGenerator) -> Value {
    let type_schema = (body.schema)(generator);
    let is_the_type = body.leaves_out.is_empty() && body.needs.is_empty();
    let schema = if is_the_type {
        type_schema
    } else {
        adapted(body, &type_schema, generator)
    };
    json!({
        "required": !body.may_be_absent,
        "description": body.description,
        "content": { body.media: { "schema": schema } },
    })
}

/// Returns the schema of a body's type without the keys that the path holds, and with those required that the route
/// needs.
fn adapted(body: &Body, reference: &Schema, generator: &SchemaGenerator) -> Schema {
    let reference = reference.get("$ref").and_then(Value::as_str).unwrap_or_default();
    let name = reference.rsplit('/').next().unwrap_or_default();
    let mut schema = generator.definitions().get(name).cloned().unwrap_or_default();
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.retain(|key, _| !body.leaves_out.contains(&key.as_str()));
    }
    for key in body.needs {
        let property = &mut schema["properties"][*key];
        // An optional key may be null too; a required one may not.
        if let Some(value) = property["anyOf"].get(0).cloned() {
            *property = value;
        }
    }
    let mut required = schema["required"].as_array().cloned().unwrap_or_default();
    required.retain(|key| !body.leaves_out.iter().any(|left_out| key == left_out));
    required.extend(body.needs.iter().map(|key| json!(key)));
    schema["required"] = required.into();
    let mut schema = Schema::try_from(schema).unwrap_or_default();
    without_links(&mut schema);
    schema
}

/// Returns the operation's own answers, and those that all operations share.
fn answers(id: OperationId, operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let own = operation.answers.iter();
    let mut answers: Map<_, _> = own.map(|own| (own.status.to_owned(), answer(own, generator))).collect();
    for (name, common) in COMMON.iter().filter(|(name, _)| applies(name, id, operation)) {
        match answers.get_mut(common.status) {
            Some(own) => {
                let reasons = own["description"].as_str().unwrap_or_default();
                own["description"] = format!("{reasons} {}", common.description).into();
            }
            None => {
                let reference = json!({ "$ref": format!("#/components/responses/{name}") });
                answers.insert(common.status.to_owned(), reference);
            }
        }
    }
    Value::Object(answers)
}

/// Answers that operations share, by their names as components.
const COMMON: [(&str, Answer); 7] = [
    (
        "Wrong",
        Answer::error("400", "A parameter or the body is wrong; the detail names it."),
    ),
    (
        "Unauthorised",
        Answer::error("401", "The key is missing or wrong.").with(&["WWW-Authenticate"]),
    ),
    (
        "Forbidden",
        Answer::error("403", "The `Host` or the `Origin` isn't allowed."),
    ),
    ("TooSlow", Answer::error("408", "The body didn't arrive in time.")),
    ("TooLarge", Answer::error("413", "The body is too large.")),
    (
        "TooOften",
        Answer::error("429", "Too many wrong keys were sent from this address.").with(&["Retry-After"]),
    ),
    ("Internal", Answer::error("500", "An internal fault of the server.")),
];

fn applies(common: &str, id: OperationId, operation: &Operation) -> bool {
    match common {
        "Wrong" => !operation.parameters.is_empty() || operation.body.is_some(),
        "TooSlow" | "TooLarge" => operation.body.is_some(),
        "Unauthorised" | "TooOften" => !OperationId::WITHOUT_KEY.contains(&id),
        _ => true,
    }
}

fn link(link: &Link) -> (String, Value) {
    let parameters = link.parameters.iter();
    let parameters: Map<_, _> = parameters
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let id = json!(link.operation);
    let name = id.as_str().unwrap_or_default().to_owned();
    (name, json!({ "operationId": id, "parameters": parameters }))
}

fn common_answers(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let common = COMMON.iter();
    common
        .map(|(name, common)| ((*name).to_owned(), answer(common, generator)))
        .collect()
}

fn answer(answer: &Answer, generator: &mut SchemaGenerator) -> Value {
    let mut headers = json!({ REQUEST_ID: { "$ref": format!("#/components/headers/{REQUEST_ID}") } });
    for name in answer.headers {
        headers[*name] = operation::header(name);
    }
    let mut content = Map::new();
    for (media, schema) in answer.content {
        let schema = match schema {
            Content::Type(refer) => json!(refer(generator)),
            Content::Text => json!({ "type": "string" }),
        };
        content.insert((*media).to_owned(), json!({ "schema": schema }));
    }
    let mut described = json!({ "description": answer.description, "headers": headers });
    if !content.is_empty() {
        described["content"] = content.into();
    }
    if !answer.links.is_empty() {
        described["links"] = answer.links.iter().map(link).collect::<Map<_, _>>().into();
    }
    described
}
