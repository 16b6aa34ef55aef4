//! Queries of a workspace's log: the feed and the raw lines, newest first.

use std::ops::ControlFlow;

use protocol::{NarratorFeed, check_conversation_id};

use super::{DEFAULT_AGENT, Narrator};
use crate::error::NarratorError;
use crate::leases::check_workspace;
use crate::summary::Summaries;

/// A query of a workspace's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedQuery {
    /// The workspace.
    pub workspace: String,
    /// Restricts the result to this conversation.
    pub conversation: Option<String>,
    /// Most events or lines returned.
    pub limit: usize,
}

impl FeedQuery {
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
    /// Returns the newest events of a workspace; none for an unknown one. Reads only the last MiBs of the log.
    ///
    /// # Errors
    /// A wrong key, or a file that can't be read.
    pub async fn feed(&self, query: FeedQuery) -> Result<NarratorFeed, NarratorError> {
        query.check()?;
        let own = self.shared.own_conversation(&query.workspace, DEFAULT_AGENT).await?;
        self.shared
            .journal
            .blocking(move |journal| {
                let mut events = Vec::new();
                journal.log.newest(&query.workspace, |_, line| {
                    if query.wants(&line.conversation_id) {
                        events.extend(line.feed_event());
                    }
                    continue_below(query.limit, events.len())
                })?;
                let has_summary = journal.summaries.exists(&query.workspace);
                Ok(NarratorFeed {
                    summary_ref: has_summary.then(|| Summaries::reference(&query.workspace)),
                    conversation_id: query.conversation.unwrap_or(own),
                    workspace_id: query.workspace,
                    events,
                })
            })
            .await
    }

    /// Returns the newest lines of a workspace's log, each with its line feed.
    ///
    /// # Errors
    /// As [`Narrator::feed`].
    pub async fn raw(&self, query: FeedQuery) -> Result<String, NarratorError> {
        query.check()?;
        self.shared
            .journal
            .blocking(move |journal| {
                let (mut lines, mut text) = (0, String::new());
                journal.log.newest(&query.workspace, |json, line| {
                    if query.wants(&line.conversation_id) {
                        lines += 1;
                        text.push_str(json);
                        text.push('\n');
                    }
                    continue_below(query.limit, lines)
                })?;
                Ok(text)
            })
            .await
    }
}

fn continue_below(limit: usize, found: usize) -> ControlFlow<()> {
    if found < limit {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}
