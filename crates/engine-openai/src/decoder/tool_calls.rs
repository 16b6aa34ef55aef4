//! Joins the parts of tool calls, which have an index: the name first, then pieces of the arguments' text.

use std::collections::BTreeMap;

use engine::{FinishReason, ToolCall};
use serde::Deserialize;
use serde_json::value::RawValue;
use upstream::UpstreamError;

/// One part of a call.
#[derive(Debug, Deserialize)]
pub(super) struct CallPart {
    index: Option<u64>,
    id: Option<String>,
    function: Option<Function>,
}

#[derive(Debug, Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<String>,
}

/// The calls of one answer received so far, by index.
#[derive(Debug, Default)]
pub(super) struct ToolCalls {
    calls: BTreeMap<u64, ToolCall>,
}

impl ToolCalls {
    pub(super) fn add(&mut self, part: CallPart) {
        let index = part.index.unwrap_or_else(|| self.index_by_id(part.id.as_deref()));
        let call = self.calls.entry(index).or_insert_with(|| ToolCall {
            id: String::new(),
            name: String::new(),
            arguments: String::new(),
        });
        if let Some(id) = part.id.filter(|id| !id.is_empty()) {
            call.id = id;
        }
        if let Some(function) = part.function {
            call.name.push_str(&function.name.unwrap_or_default());
            call.arguments.push_str(&function.arguments.unwrap_or_default());
        }
    }

    /// Returns the index of a part without one: such a server begins a call with its id, and continues it without.
    fn index_by_id(&self, id: Option<&str>) -> u64 {
        let last = self.calls.last_key_value();
        match (last, id) {
            (None, _) => 0,
            (Some((index, call)), Some(id)) if call.id != id => index.saturating_add(1),
            (Some((index, _)), _) => *index,
        }
    }

    /// Returns all complete calls. One that the limit of tokens cut off is left out, as the answer's end reports that.
    ///
    /// # Errors
    /// [`UpstreamError::Malformed`] for arguments that are not an object.
    pub(super) fn into_complete(self, reason: FinishReason) -> Result<Vec<ToolCall>, UpstreamError> {
        let mut calls = Vec::new();
        for mut call in self.calls.into_values() {
            if call.arguments.trim().is_empty() {
                "{}".clone_into(&mut call.arguments);
            }
            match check_object(&call.arguments) {
                Ok(()) => {}
                Err(_) if reason == FinishReason::Length => continue,
                Err(source) => return Err(UpstreamError::malformed(&call.arguments, source)),
            }
            if call.id.is_empty() {
                call.id = format!("call_{}", calls.len() + 1);
            }
            calls.push(call);
        }
        Ok(calls)
    }
}

fn check_object(arguments: &str) -> Result<(), serde_json::Error> {
    let value: &RawValue = serde_json::from_str(arguments.trim())?;
    if value.get().starts_with('{') {
        Ok(())
    } else {
        Err(serde::de::Error::custom("the arguments of a tool call are no object"))
    }
}
