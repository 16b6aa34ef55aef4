//! The metadata in a conversation's file, as JSON: one header, and a checkpoint after each turn.

use engine::TurnTag;
use kv_cache::{CachePolicy, SinkWindow};
use serde::{Deserialize, Serialize};

use crate::conversation::{Conversation, RecentIds, StreamState};

/// Must be raised whenever an older file can't be continued from, or would be with other bits than it began with.
pub(super) const VERSION: u32 = 2;

/// What stays the same for the whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) version: u32,
    /// The model's fingerprint, and the block type that its weights were quantised to while they were loaded.
    pub(super) model: String,
    /// The conversation's name.
    pub(super) conversation: String,
    system: Option<String>,
    system_tokens: u64,
    epoch: u64,
    policy: Policy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Policy {
    Streaming { sinks: u64, window: u64 },
    Dense { max_tokens: u64 },
}

/// The state of the conversation's stream after a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// Tokens that the cache has read.
    pub(super) position: u64,
    /// The newest turn.
    pub(super) last: u64,
    // The name in files of this version.
    #[serde(rename = "unfed")]
    pending_ids: Vec<u32>,
    recent: Vec<u32>,
    ends: Vec<(u64, u64)>,
    evicted_tokens: u64,
}

impl Header {
    pub(super) fn new(model: &str, name: &str, conversation: &Conversation) -> Self {
        let policy = match conversation.policy {
            CachePolicy::Streaming(sink_window) => Policy::Streaming {
                sinks: sink_window.sinks(),
                window: sink_window.window(),
            },
            CachePolicy::Dense { max_tokens } => Policy::Dense { max_tokens },
        };
        Self {
            version: VERSION,
            model: model.to_owned(),
            conversation: name.to_owned(),
            system: conversation.system.clone(),
            system_tokens: conversation.system_tokens,
            epoch: conversation.epoch.0,
            policy,
        }
    }

    pub(super) fn policy(&self) -> CachePolicy {
        match self.policy {
            Policy::Streaming { sinks, window } => CachePolicy::Streaming(SinkWindow::new(sinks, window)),
            Policy::Dense { max_tokens } => CachePolicy::Dense { max_tokens },
        }
    }

    /// Returns the conversation with a cache that was restored up to the checkpoint.
    pub(super) fn into_conversation(self, cache: crate::SequenceCache, checkpoint: Checkpoint) -> Conversation {
        Conversation {
            cache,
            policy: self.policy(),
            system: self.system,
            system_tokens: self.system_tokens,
            epoch: TurnTag(self.epoch),
            stream: checkpoint.into_stream(),
        }
    }
}

impl Checkpoint {
    pub(super) fn new(conversation: &Conversation) -> Self {
        let StreamState {
            last,
            pending_ids,
            recent,
            ends,
            evicted_tokens,
        } = &conversation.stream;
        Self {
            position: conversation.cache.position(),
            last: last.0,
            pending_ids: pending_ids.clone(),
            recent: recent.as_slice().to_vec(),
            ends: ends.iter().map(|(tag, end)| (tag.0, *end)).collect(),
            evicted_tokens: *evicted_tokens,
        }
    }

    fn into_stream(self) -> StreamState {
        let mut recent = RecentIds::default();
        recent.extend(&self.recent);
        StreamState {
            last: TurnTag(self.last),
            pending_ids: self.pending_ids,
            recent,
            ends: self.ends.into_iter().map(|(tag, end)| (TurnTag(tag), end)).collect(),
            evicted_tokens: self.evicted_tokens,
        }
    }
}
