//! What the narrator writes down of a workspace: lines of its log, and its summary. The disk is only touched where that may block.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::{FeedSeverity, NarrationSource};

use super::{NarratorSettings, NarratorStores};
use crate::clock::{Clock, rfc3339};
use crate::error::NarratorError;
use crate::log::{Line, LineType, NarratorLog, headline};
use crate::summary::{SUMMARY_EVENTS, Summaries, is_said, is_summed_up, markdown};

/// The folder of the logs, in the host's folder of logs.
const FOLDER: &str = "narrator";

/// Logs and summaries. Clones are the same journal.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    pub(super) log: NarratorLog,
    pub(super) summaries: Summaries,
    pub(super) clock: Clock,
    summary_refresh: u32,
    /// One summary at a time: whoever comes second finds it written.
    refreshing: Arc<Mutex<()>>,
}

/// What all lines of one message, or of one controller's call, have in common.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) workspace: String,
    pub(super) conversation: String,
    pub(super) task: Option<String>,
    pub(super) agent: String,
}

/// What a line says of its own.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) kind: LineType,
    pub(super) source: NarrationSource,
    /// Made from the detail when absent.
    pub(super) headline: Option<String>,
    pub(super) detail: String,
    pub(super) playbook: Option<String>,
}

impl Entry {
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

    /// Writes lines, in order; the ids that they were given.
    pub(super) async fn write(&self, origin: &Origin, entries: Vec<Entry>) -> Result<Vec<String>, NarratorError> {
        let lines: Vec<Line> = entries.into_iter().map(|entry| self.line(origin, entry)).collect();
        self.blocking(move |journal| {
            let write = |line: Line| journal.log.append(&line).map(|()| line.id);
            lines.into_iter().map(write).collect()
        })
        .await
    }

    /// Writes lines of what has happened already: that can't be taken back when the disk is full, so that is only logged.
    pub(super) async fn note(&self, origin: &Origin, entries: Vec<Entry>) {
        if let Err(error) = self.write(origin, entries).await {
            tracing::error!(%error, conversation = origin.conversation, "the narrator's log misses a line");
        }
    }

    /// Writes the summary anew if enough was said since the last one; its text if so.
    pub(super) async fn refresh_summary(&self, origin: &Origin) -> Result<Option<String>, NarratorError> {
        let origin = origin.clone();
        self.blocking(move |journal| journal.refresh(&origin)).await
    }

    /// Does what may block where it may.
    pub(super) async fn blocking<T, F>(&self, work: F) -> Result<T, NarratorError>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Result<T, NarratorError> + Send + 'static,
    {
        let journal = self.clone();
        let worked = tokio::task::spawn_blocking(move || work(&journal)).await;
        worked.map_err(|_| NarratorError::Gone)?
    }

    fn refresh(&self, origin: &Origin) -> Result<Option<String>, NarratorError> {
        let _one_at_a_time = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut said, mut refreshed, mut newest) = (0, false, Vec::new());
        self.log.newest(&origin.workspace, |_, line| {
            refreshed |= line.kind == LineType::SummaryRefresh;
            said += u32::from(!refreshed && is_said(line.kind));
            if refreshed && said < self.summary_refresh {
                return ControlFlow::Break(());
            }
            if is_summed_up(line.kind) && newest.len() < SUMMARY_EVENTS {
                newest.push(line);
            }
            let is_enough = said >= self.summary_refresh && newest.len() == SUMMARY_EVENTS;
            if is_enough {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        if said < self.summary_refresh {
            return Ok(None);
        }
        let text = markdown(&origin.workspace, &rfc3339(self.clock.wall_ms()), &newest);
        self.summaries.replace(&origin.workspace, &text)?;
        let reference = Summaries::reference(&origin.workspace);
        let entry = Entry::new(LineType::SummaryRefresh, NarrationSource::System, reference);
        self.log
            .append(&self.line(origin, entry.with_headline("Summary refreshed")))?;
        Ok(Some(text))
    }

    fn line(&self, origin: &Origin, entry: Entry) -> Line {
        let severity = match entry.kind {
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
            kind: entry.kind,
            workspace_id: origin.workspace.clone(),
            conversation_id: origin.conversation.clone(),
            task_id: origin.task.clone(),
            agent_id: origin.agent.clone(),
            headline: entry.headline.unwrap_or_else(|| headline(&entry.detail)),
            detail: entry.detail,
            severity,
            source: entry.source,
            playbook_id: entry.playbook,
        }
    }
}
