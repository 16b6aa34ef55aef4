//! One line of the narrator's log, and its conversion to an event of the feed.

use protocol::{FeedEvent, FeedEventType, FeedSeverity, NarrationSource};
use serde::{Deserialize, Serialize};

/// Most characters of a headline that is derived from a text: one line of a list.
const HEADLINE_CHARS: usize = 80;

/// What a line reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum LineType {
    /// A message to the narrator.
    UserMessage,
    /// A narration of the narrator or a controller.
    Narration,
    /// A narration that was logged but not published.
    NarrationSuppressed,
    /// The progress of an agent.
    AgentUpdate,
    /// A result of an agent.
    AgentResult,
    /// A new version of the summary.
    SummaryRefresh,
    /// The failure of a message.
    Error,
    /// The end of a message's task, in success or failure. No part of the feed.
    WorkspaceNarratorCompleted,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) timestamp: String,
    #[serde(rename = "type")]
    pub(crate) kind: LineType,
    pub(crate) workspace_id: String,
    pub(crate) conversation_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) task_id: Option<String>,
    pub(crate) agent_id: String,
    pub(crate) headline: String,
    pub(crate) detail: String,
    pub(crate) severity: FeedSeverity,
    pub(crate) source: NarrationSource,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) playbook_id: Option<String>,
}

impl Line {
    /// Parses a line; returns `None` for one that was cut off, or that another program wrote.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// Returns the line as JSON, which contains no line feed.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("a line has string keys only")
    }

    /// Converts the line to an event of the feed; returns `None` for a line that isn't part of it.
    pub(crate) fn feed_event(self) -> Option<FeedEvent> {
        let kind = match self.kind {
            LineType::UserMessage | LineType::Narration => FeedEventType::Narration,
            LineType::NarrationSuppressed => FeedEventType::Suppressed,
            LineType::AgentUpdate => FeedEventType::AgentUpdate,
            LineType::AgentResult => FeedEventType::AgentResult,
            LineType::SummaryRefresh => FeedEventType::Summary,
            LineType::Error => FeedEventType::Error,
            LineType::WorkspaceNarratorCompleted => return None,
        };
        Some(FeedEvent {
            id: self.id,
            timestamp: self.timestamp,
            kind,
            headline: self.headline,
            detail: self.detail,
            severity: self.severity,
            source: self.source,
            playbook_id: self.playbook_id,
        })
    }
}

/// Returns the beginning of a text's first line that isn't blank.
pub(crate) fn headline(text: &str) -> String {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    shortened(first, HEADLINE_CHARS)
}

/// Returns the beginning of a text on one line, with an ellipsis if more follows.
pub(crate) fn shortened(text: &str, chars: usize) -> String {
    let mut words = String::new();
    for word in text.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if let Some((end, _)) = words.char_indices().nth(chars) {
            words.truncate(end);
            words.push('…');
            break;
        }
    }
    words
}
