//! The caches of conversations that no turn runs in, until their next turn or until there is no room.

use std::collections::HashMap;

use super::conversation::Conversation;

/// Bytes of keys and values that idle conversations may take together: beside the default model's weights this stays well
/// under a gigabyte, and it holds some 11,000 tokens of it.
pub(crate) const IDLE_CACHE_BYTES: usize = 512 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shelf {
    max_bytes: usize,
    entries: HashMap<String, Entry>,
    /// Counts uses, for telling which was longest ago.
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    conversation: Conversation,
    bytes: usize,
    used: u64,
}

impl Shelf {
    /// A shelf for `max_bytes` of keys and values.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            entries: HashMap::new(),
            uses: 0,
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Conversation> {
        self.entries.get(name).map(|entry| &entry.conversation)
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Conversation> {
        self.entries.remove(name).map(|entry| entry.conversation)
    }

    /// Puts a conversation back and gives the names of those that had to go for it, which were used longest ago. What is put
    /// back always stays, even when it is larger than the shelf: without it no conversation of that size could ever go on.
    pub(crate) fn put(&mut self, name: &str, conversation: Conversation) -> Vec<String> {
        self.uses += 1;
        let bytes = conversation.cache.bytes();
        self.entries.insert(
            name.to_owned(),
            Entry {
                conversation,
                bytes,
                used: self.uses,
            },
        );
        let mut gone = Vec::new();
        while self.bytes() > self.max_bytes && self.entries.len() > 1 {
            let oldest = self
                .entries
                .iter()
                .min_by_key(|(_, entry)| entry.used)
                .map(|(name, _)| name.clone());
            let oldest = oldest.expect("there is more than one entry");
            self.entries.remove(&oldest);
            gone.push(oldest);
        }
        gone
    }

    /// Bytes of keys and values on it.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.values().map(|entry| entry.bytes).sum()
    }
}
