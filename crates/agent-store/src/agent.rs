//! An agent as it is read, and the draft by which it is written.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::AgentId;

/// An agent, complete and checked, except for the meaning of its options.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Its id, and its file's name.
    pub id: AgentId,
    /// The name that people read.
    pub name: String,
    /// The system prompt.
    pub system_prompt: String,
    /// The file's body: the agent's context as Markdown.
    pub markdown_context: String,
    /// The front matter's `options`, unchanged.
    pub options: Map<String, Value>,
    /// The front matter's `model`: the names of the models that may answer, in the order in which they are tried.
    /// Empty: the default.
    pub models: Vec<String>,
    /// The front matter's `tools`, unchanged.
    pub tools: Vec<Value>,
    /// SHA-256 of all fields above, in lower-case hexadecimal: the agent's version and `ETag`.
    pub hash: String,
}

/// The keys of the front matter that decide how an agent answers. A draft doesn't change them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Behaviour {
    pub(crate) options: Map<String, Value>,
    pub(crate) models: Vec<String>,
    pub(crate) tools: Vec<Value>,
}

/// The fields of an agent that a client writes. Options and unknown keys of the front matter are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The agent's id.
    pub id: AgentId,
    /// The name that people read; not blank.
    pub name: String,
    /// The system prompt.
    pub system_prompt: String,
    /// The agent's context as Markdown.
    pub markdown_context: String,
}

/// The result of writing a [`Draft`].
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    /// The agent as it is stored now.
    pub agent: Agent,
    /// True if no agent of that id existed.
    pub created: bool,
}

impl Agent {
    /// Makes an agent and computes its hash.
    pub(crate) fn new(draft: Draft, behaviour: Behaviour) -> Self {
        let Draft {
            id,
            name,
            system_prompt,
            markdown_context,
        } = draft;
        let Behaviour { options, models, tools } = behaviour;
        let mut agent = Self {
            id,
            name,
            system_prompt,
            markdown_context,
            options,
            models,
            tools,
            hash: String::new(),
        };
        agent.hash = agent.content_hash();
        agent
    }

    /// Returns the keys that decide how it answers.
    pub(crate) fn behaviour(self) -> Behaviour {
        Behaviour {
            options: self.options,
            models: self.models,
            tools: self.tools,
        }
    }

    /// Returns the HTTP entity tag: the hash in quotes.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.hash)
    }

    /// Computes the hash of the agent's fields; `hash` is ignored.
    ///
    /// Each field is hashed after its length, so that no two agents have the same bytes.
    pub fn content_hash(&self) -> String {
        let options = Value::Object(self.options.clone()).to_string();
        let mut fields = vec![
            self.id.as_str(),
            &self.name,
            &self.system_prompt,
            &self.markdown_context,
            &options,
        ];
        let (models, tools) = (Value::from(self.models.clone()), Value::from(self.tools.clone()));
        let (models, tools) = (models.to_string(), tools.to_string());
        // An agent without them keeps the hash that it had before these keys existed.
        if !(self.models.is_empty() && self.tools.is_empty()) {
            fields.extend([models.as_str(), &tools]);
        }
        let mut hasher = Sha256::new();
        for field in fields {
            hasher.update((field.len() as u64).to_le_bytes());
            hasher.update(field);
        }
        hasher
            .finalize()
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                write!(hex, "{byte:02x}").expect("a String takes every write");
                hex
            })
    }
}
