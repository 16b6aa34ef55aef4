//! The workspace's log as it is read: the feed, and its raw lines, the newest first.

use std::ops::ControlFlow;

use protocol::{NarratorFeed, check_conversation_id};

use super::{DEFAULT_AGENT, Narrator};
use crate::error::NarratorError;
use crate::leases::check_workspace;
use crate::summary::Summaries;

/// What is wanted of a workspace's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The workspace.
    pub workspace: String,
    /// Only what belongs to this conversation.
    pub conversation: Option<String>,
    /// At most so many events or lines.
    pub limit: usize,
}

impl Look {
    fn check(&self) -> Result<(), NarratorError> {
        check_workspace(&self.workspace)?;
        self.conversation.as_deref().map_or(Ok(()), check_conversation_id)?;
        Ok(())
    }

    fn wants(&self, conversation: &str) -> bool {
        self.conversation.as_deref().is_none_or(|wanted| wanted == conversation)
    }
}

impl Narrator {
    /// The newest events of a workspace; none of one that was never heard of. Looks some MiB back, no further.
    ///
    /// # Errors
    /// A key that is wrong, or a file that can't be read.
    pub async fn feed(&self, look: Look) -> Result<NarratorFeed, NarratorError> {
        look.check()?;
        let own = self.shared.own_conversation(&look.workspace, DEFAULT_AGENT).await?;
        self.shared
            .journal
            .blocking(move |journal| {
                let mut events = Vec::new();
                journal.log.newest(&look.workspace, |_, line| {
                    if look.wants(&line.conversation_id) {
                        events.extend(line.feed_event());
                    }
                    go_on_below(look.limit, events.len())
                })?;
                let has_summary = journal.summaries.exists(&look.workspace);
                Ok(NarratorFeed {
                    summary_ref: has_summary.then(|| Summaries::reference(&look.workspace)),
                    conversation_id: look.conversation.unwrap_or(own),
                    workspace_id: look.workspace,
                    events,
                })
            })
            .await
    }

    /// The newest lines of a workspace as they are in its log, each with its line feed.
    ///
    /// # Errors
    /// As [`Narrator::feed`].
    pub async fn raw(&self, look: Look) -> Result<String, NarratorError> {
        look.check()?;
        self.shared
            .journal
            .blocking(move |journal| {
                let (mut lines, mut text) = (0, String::new());
                journal.log.newest(&look.workspace, |json, line| {
                    if look.wants(&line.conversation_id) {
                        lines += 1;
                        text.push_str(json);
                        text.push('\n');
                    }
                    go_on_below(look.limit, lines)
                })?;
                Ok(text)
            })
            .await
    }
}

fn go_on_below(limit: usize, found: usize) -> ControlFlow<()> {
    if found < limit {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}
