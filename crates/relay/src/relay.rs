//! The trait of all relays: a message in, remarks out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::RelayError;

/// The future of an answer. Dropping it cancels the request.
pub type RelayFuture<'a> = Pin<Box<dyn Future<Output = Result<RelayAnswer, RelayError>> + Send + 'a>>;

/// Answers messages to a narrator.
pub trait Relay: Send + Sync + fmt::Debug {
    /// Returns the relay's name in logs.
    fn name(&self) -> &str;

    /// Returns true if a controller must hold the lease of the agent that answers.
    fn needs_lease(&self) -> bool;

    /// Sends a message and returns its answer. The caller limits the time.
    fn ask(&self, message: RelayMessage) -> RelayFuture<'_>;
}

/// A person's message to a workspace's narrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayMessage {
    /// The workspace.
    pub workspace_id: String,
    /// The conversation that receives the narration.
    pub conversation_id: String,
    /// The id of the message's line in the narrator's log.
    pub event_id: String,
    /// The id of the task that answers the message.
    pub task_id: String,
    /// The agent that answers.
    pub agent_id: String,
    /// The text; not blank.
    pub message: String,
}

/// The answer of a relay: at least one remark, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayAnswer {
    /// The remarks.
    pub remarks: Vec<Remark>,
}

impl RelayAnswer {
    /// Creates an answer of one remark.
    pub fn text(text: impl Into<String>) -> Self {
        let remark = Remark {
            text: text.into(),
            ..Remark::default()
        };
        Self { remarks: vec![remark] }
    }
}

/// One remark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remark {
    /// The text; not blank.
    pub text: String,
    /// A short form of the text.
    pub headline: Option<String>,
    /// The playbook that the remark follows.
    pub playbook_id: Option<String>,
    /// True if it is only logged by the narrator, and not published.
    pub suppressed: bool,
}
