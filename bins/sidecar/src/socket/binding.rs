//! A socket's defaults: agent, conversation and options of messages that name none.

use protocol::{Hello, Message, OptionsPatch};

/// A socket's defaults, from its first frame on.
#[derive(Debug, Default)]
pub(super) struct Binding {
    pub(super) agent_id: Option<String>,
    pub(super) conversation_id: Option<String>,
    pub(super) options: OptionsPatch,
}

impl From<&Hello> for Binding {
    fn from(hello: &Hello) -> Self {
        Self {
            agent_id: hello.agent_id.clone(),
            conversation_id: hello.conversation_id.clone(),
            options: hello.options.clone(),
        }
    }
}

impl From<&Message> for Binding {
    /// A first frame that is a message is its hello too.
    fn from(message: &Message) -> Self {
        Self {
            agent_id: message.agent_id.clone(),
            conversation_id: message.conversation_id.clone(),
            options: message.options.clone(),
        }
    }
}
