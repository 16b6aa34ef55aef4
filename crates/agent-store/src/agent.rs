//! An agent as it is read, and as it is written.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::AgentId;

/// An agent, complete and checked, but for what its options mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Its id, and its file's name.
    pub id: AgentId,
    /// The name that people read.
    pub name: String,
    /// What the model is told to be.
    pub system_prompt: String,
    /// The file's body: what the agent knows.
    pub markdown_context: String,
    /// The front matter's `options`, as they are written there.
    pub options: Map<String, Value>,
    /// The front matter's `model`: the names of the models that may answer, the first one first. Empty: any default.
    pub models: Vec<String>,
    /// The front matter's `tools`, as they are written there.
    pub tools: Vec<Value>,
    /// SHA-256 of all of the above, in lower-case hexadecimal: its version, and its `ETag`.
    pub hash: String,
}

/// What the front matter says of how an agent answers; a draft leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Behaviour {
    pub(crate) options: Map<String, Value>,
    pub(crate) models: Vec<String>,
    pub(crate) tools: Vec<Value>,
}

/// What a client writes of an agent. Options and unknown keys of the front matter stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The agent's id.
    pub id: AgentId,
    /// The name that people read; not blank.
    pub name: String,
    /// What the model is told to be.
    pub system_prompt: String,
    /// What the agent knows.
    pub markdown_context: String,
}

/// What became of a [`Draft`].
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    /// The agent as it is stored now.
    pub agent: Agent,
    /// There was none of that id.
    pub created: bool,
}

impl Agent {
    /// Puts an agent together and gives it its hash.
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

    /// Takes what the front matter says of how it answers.
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

    /// Returns the hash that an agent of these words has, whatever `hash` says.
    ///
    /// Each field is hashed with its length before it, so that no two agents run into the same bytes.
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
        // An agent that says nothing of them keeps the hash that it had before there were any.
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
