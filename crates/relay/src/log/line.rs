//! One line of the narrator's log, and what the feed makes of it.

use protocol::{FeedEvent, FeedEventType, FeedSeverity, NarrationSource};
use serde::{Deserialize, Serialize};

/// Characters of a headline that is made from a text: one line of a list.
const HEADLINE_CHARS: usize = 80;

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum LineType {
    /// Said to the narrator.
    UserMessage,
    /// Said by the narrator, or by a controller.
    Narration,
    /// Not said.
    NarrationSuppressed,
    /// An agent goes on.
    AgentUpdate,
    /// An agent has something to show.
    AgentResult,
    /// The summary was written anew.
    SummaryRefresh,
    /// A message came to nothing.
    Error,
    /// The work on a message is over, whatever came of it. No part of the feed.
    WorkspaceNarratorCompleted,
}

/// A line.
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
    /// Reads a line; one that was cut off, or that another program wrote, is none.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// The line without its line feed: JSON has none inside.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("a line has string keys only")
    }

    /// The line as the feed shows it, if it does.
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

/// A text in a few words: the beginning of its first line that has any.
pub(crate) fn headline(text: &str) -> String {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    shortened(first, HEADLINE_CHARS)
}

/// The beginning of a text on one line, with a mark where more follows.
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
