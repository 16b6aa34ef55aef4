//! What every relay stands behind: a message in, remarks out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::RelayError;

/// An answer on its way. Dropping it gives the question up.
pub type RelayFuture<'a> = Pin<Box<dyn Future<Output = Result<RelayAnswer, RelayError>> + Send + 'a>>;

/// Whoever answers what is said to a narrator.
pub trait Relay: Send + Sync + fmt::Debug {
    /// What logs call it.
    fn name(&self) -> &str;

    /// Whether a controller must hold the lease of the agent that is asked.
    fn needs_lease(&self) -> bool;

    /// Asks it. How long may be waited is the caller's to decide.
    fn ask(&self, message: RelayMessage) -> RelayFuture<'_>;
}

/// A person's message to a workspace's narrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayMessage {
    /// The workspace.
    pub workspace_id: String,
    /// The conversation whose readers get the narration.
    pub conversation_id: String,
    /// The message's own line in the narrator's log.
    pub event_id: String,
    /// The work on it.
    pub task_id: String,
    /// The agent that is asked.
    pub agent_id: String,
    /// What was said; not blank.
    pub message: String,
}

/// What a relay answers: at least one remark, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayAnswer {
    /// The remarks.
    pub remarks: Vec<Remark>,
}

impl RelayAnswer {
    /// An answer of one remark.
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
    /// What is said; not blank.
    pub text: String,
    /// The same in a few words.
    pub headline: Option<String>,
    /// The playbook that it follows.
    pub playbook_id: Option<String>,
    /// It is for the narrator's log alone, and not to be said.
    pub suppressed: bool,
}
