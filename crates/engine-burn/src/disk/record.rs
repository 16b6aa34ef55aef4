//! What a file says of its conversation beside keys and values: one head, and a mark for each checkpoint.

use engine::TurnTag;
use kv_cache::{CachePolicy, SinkWindow};
use serde::{Deserialize, Serialize};

use crate::worker::{Conversation, Ledger, RecentIds};

/// Grows whenever a file of before can't be gone on from, or would be with other bits than it began with.
pub(super) const VERSION: u32 = 2;

/// What stays the same for as long as the file lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) version: u32,
    /// The model's fingerprint, and what its weights were quantised to when they were loaded.
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

/// What the conversation's stream is at a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Tokens that the cache has read.
    pub(super) position: u64,
    /// The newest turn.
    pub(super) last: u64,
    unfed: Vec<u32>,
    recent: Vec<u32>,
    ends: Vec<(u64, u64)>,
    evicted_tokens: u64,
}

impl Head {
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

    /// The conversation with this cache, which is where the mark says.
    pub(super) fn into_conversation(self, cache: crate::SequenceCache, mark: Mark) -> Conversation {
        Conversation {
            cache,
            policy: self.policy(),
            system: self.system,
            system_tokens: self.system_tokens,
            epoch: TurnTag(self.epoch),
            ledger: mark.into_ledger(),
        }
    }
}

impl Mark {
    pub(super) fn new(conversation: &Conversation) -> Self {
        let Ledger {
            last,
            unfed,
            recent,
            ends,
            evicted_tokens,
        } = &conversation.ledger;
        Self {
            position: conversation.cache.position(),
            last: last.0,
            unfed: unfed.clone(),
            recent: recent.as_slice().to_vec(),
            ends: ends.iter().map(|(tag, end)| (tag.0, *end)).collect(),
            evicted_tokens: *evicted_tokens,
        }
    }

    fn into_ledger(self) -> Ledger {
        let mut recent = RecentIds::default();
        recent.extend(&self.recent);
        Ledger {
            last: TurnTag(self.last),
            unfed: self.unfed,
            recent,
            ends: self.ends.into_iter().map(|(tag, end)| (TurnTag(tag), end)).collect(),
            evicted_tokens: self.evicted_tokens,
        }
    }
}
