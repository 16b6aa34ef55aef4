//! Writes a workspace's log and summary, on threads that may block.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::{FeedSeverity, NarrationSource};

use super::{NarratorSettings, NarratorStores};
use crate::clock::{Clock, rfc3339};
use crate::error::NarratorError;
use crate::log::{Line, LineType, NarratorLog, headline};
use crate::summary::{SUMMARY_EVENTS, Summaries, belongs_in_summary, counts_towards_summary, markdown};

/// The folder of the narrator's logs, in the host's folder of logs.
const FOLDER: &str = "narrator";

/// The logs and summaries of all workspaces. Clones share the journal.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    pub(super) log: NarratorLog,
    pub(super) summaries: Summaries,
    pub(super) clock: Clock,
    summary_refresh: u32,
    /// Serialises summaries, so that a second caller finds the first one's summary written.
    refreshing: Arc<Mutex<()>>,
}

/// The fields that all lines of one message, or of one controller's call, share.
#[derive(Debug, Clone)]
pub(super) struct LineContext {
    pub(super) workspace: String,
    pub(super) conversation: String,
    pub(super) task: Option<String>,
    pub(super) agent: String,
}

/// The fields of a single line.
#[derive(Debug, Clone)]
pub(super) struct LineContent {
    pub(super) kind: LineType,
    pub(super) source: NarrationSource,
    /// Derived from the detail if absent.
    pub(super) headline: Option<String>,
    pub(super) detail: String,
    pub(super) playbook: Option<String>,
}

impl LineContent {
    pub(super) fn new(kind: LineType, source: NarrationSource, detail: impl Into<String>) -> Self {
        Self {
            kind,
            source,
            headline: None,
            detail: detail.into(),
            playbook: None,
        }
    }

    pub(super) fn with_headline(self, headline: impl Into<String>) -> Self {
        Self {
            headline: Some(headline.into()),
            ..self
        }
    }
}

impl Journal {
    pub(super) fn open(stores: &NarratorStores, settings: NarratorSettings) -> Result<Self, NarratorError> {
        Ok(Self {
            log: NarratorLog::open(stores.log_dir.join(FOLDER))?,
            summaries: Summaries::open(stores.summary_dir.clone())?,
            clock: settings.clock,
            summary_refresh: settings.summary_refresh.max(1),
            refreshing: Arc::default(),
        })
    }

    /// Writes lines in order, and returns their ids.
    pub(super) async fn write(
        &self,
        context: &LineContext,
        contents: Vec<LineContent>,
    ) -> Result<Vec<String>, NarratorError> {
        let lines: Vec<Line> = contents
            .into_iter()
            .map(|content| self.line(context, content))
            .collect();
        self.blocking(move |journal| {
            let write = |line: Line| journal.log.append(&line).map(|()| line.id);
            lines.into_iter().map(write).collect()
        })
        .await
    }

    /// Writes lines that report past events. A failure is only logged, since the events can't be undone.
    pub(super) async fn note(&self, context: &LineContext, contents: Vec<LineContent>) {
        if let Err(error) = self.write(context, contents).await {
            tracing::error!(%error, conversation = context.conversation, "the narrator's log misses a line");
        }
    }

    /// Refreshes the summary if enough lines were written since the last one; returns its text if so.
    pub(super) async fn refresh_summary(&self, context: &LineContext) -> Result<Option<String>, NarratorError> {
        let context = context.clone();
        self.blocking(move |journal| journal.refresh(&context)).await
    }

    /// Runs a closure on a thread that may block.
    pub(super) async fn blocking<T, F>(&self, work: F) -> Result<T, NarratorError>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Result<T, NarratorError> + Send + 'static,
    {
        let journal = self.clone();
        let worked = tokio::task::spawn_blocking(move || work(&journal)).await;
        worked.map_err(|_| NarratorError::Gone)?
    }

    fn refresh(&self, context: &LineContext) -> Result<Option<String>, NarratorError> {
        let _one_at_a_time = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut new_lines, mut refreshed, mut newest) = (0, false, Vec::new());
        self.log.newest(&context.workspace, |_, line| {
            refreshed |= line.kind == LineType::SummaryRefresh;
            new_lines += u32::from(!refreshed && counts_towards_summary(line.kind));
            if refreshed && new_lines < self.summary_refresh {
                return ControlFlow::Break(());
            }
            if belongs_in_summary(line.kind) && newest.len() < SUMMARY_EVENTS {
                newest.push(line);
            }
            let is_enough = new_lines >= self.summary_refresh && newest.len() == SUMMARY_EVENTS;
            if is_enough {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        if new_lines < self.summary_refresh {
            return Ok(None);
        }
        let text = markdown(&context.workspace, &rfc3339(self.clock.wall_ms()), &newest);
        self.summaries.replace(&context.workspace, &text)?;
        let reference = Summaries::reference(&context.workspace);
        let content = LineContent::new(LineType::SummaryRefresh, NarrationSource::System, reference);
        self.log
            .append(&self.line(context, content.with_headline("Summary refreshed")))?;
        Ok(Some(text))
    }

    fn line(&self, context: &LineContext, content: LineContent) -> Line {
        let severity = match content.kind {
            LineType::Error => FeedSeverity::Error,
            LineType::NarrationSuppressed => FeedSeverity::Warning,
            LineType::UserMessage
            | LineType::Narration
            | LineType::AgentUpdate
            | LineType::AgentResult
            | LineType::SummaryRefresh
            | LineType::WorkspaceNarratorCompleted => FeedSeverity::Info,
        };
        Line {
            id: uuid::Uuid::now_v7().to_string(),
            timestamp: rfc3339(self.clock.wall_ms()),
            kind: content.kind,
            workspace_id: context.workspace.clone(),
            conversation_id: context.conversation.clone(),
            task_id: context.task.clone(),
            agent_id: context.agent.clone(),
            headline: content.headline.unwrap_or_else(|| headline(&content.detail)),
            detail: content.detail,
            severity,
            source: content.source,
            playbook_id: content.playbook,
        }
    }
}
