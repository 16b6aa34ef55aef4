//! The caches of idle conversations, in order of use.
//!
//! Takes a conversation when its turn has ended and returns it when its next turn begins. Evicts the least recently
//! used ones when memory is needed. With a [`CacheStore`], what is put here goes to disk too, and is loaded from there
//! on demand. Never holds the conversation of a running sequence.

use std::collections::HashMap;
use std::sync::Arc;

use engine::TurnTag;

use super::runner::ModelRunner;
use crate::cache_store::CacheStore;
use crate::conversation::Conversation;

/// The idle conversations in memory, and the store behind them.
#[derive(Debug, Default)]
pub(crate) struct CachePool {
    store: Option<Arc<CacheStore>>,
    entries: HashMap<String, IdleCache>,
    /// Counts uses, for finding the least recently used entry.
    uses: u64,
}

#[derive(Debug)]
struct IdleCache {
    conversation: Conversation,
    bytes: usize,
    /// The value of `uses` when it was put here.
    used: u64,
}

impl CachePool {
    /// Makes an empty pool, with a store behind it if there is one.
    pub(crate) fn new(store: Option<Arc<CacheStore>>) -> Self {
        Self {
            store,
            ..Self::default()
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Conversation> {
        self.entries.get(name).map(|entry| &entry.conversation)
    }

    /// Returns all conversations in memory.
    pub(crate) fn conversations(&self) -> impl Iterator<Item = &Conversation> {
        self.entries.values().map(|entry| &entry.conversation)
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Conversation> {
        self.entries.remove(name).map(|entry| entry.conversation)
    }

    /// Loads a conversation from disk if memory doesn't have it and its file ends with turn `tag`.
    pub(crate) fn load(&mut self, name: &str, tag: TurnTag, runner: &ModelRunner) {
        if self.entries.contains_key(name) {
            return;
        }
        let new_cache = |policy| runner.new_cache(policy).ok();
        let loaded = self.store.as_ref().and_then(|store| store.load(name, tag, new_cache));
        if let Some(conversation) = loaded {
            self.insert(name, conversation);
        }
    }

    /// Drops a conversation from memory and from disk.
    pub(crate) fn discard(&mut self, name: &str) {
        drop(self.take(name));
        if let Some(store) = &self.store {
            store.forget(name);
        }
    }

    /// Returns the turn that a conversation can be continued from.
    pub(crate) fn cached_through(&self, name: &str) -> Option<TurnTag> {
        let on_disk = || self.store.as_ref().and_then(|store| store.through(name));
        self.get(name)
            .map(|conversation| conversation.stream.last)
            .or_else(on_disk)
    }

    /// Puts a conversation back, and returns the names of those that the store has removed for its budget.
    pub(crate) fn put(&mut self, name: &str, mut conversation: Conversation) -> Vec<String> {
        let mut pruned = Vec::new();
        if let Some(store) = &self.store {
            store.save(name, &mut conversation);
            pruned = store.take_pruned();
        }
        self.insert(name, conversation);
        pruned
    }

    /// Evicts the least recently used conversations until all take at most `max_bytes`, or `min_count` are left.
    /// Returns the names of the evicted ones.
    pub(crate) fn evict_to(&mut self, max_bytes: usize, min_count: usize) -> Vec<String> {
        let mut evicted = Vec::new();
        while self.bytes() > max_bytes && self.entries.len() > min_count {
            let oldest = self
                .entries
                .iter()
                .min_by_key(|(_, entry)| entry.used)
                .map(|(name, _)| name.clone());
            let oldest = oldest.expect("there are entries");
            self.entries.remove(&oldest);
            evicted.push(oldest);
        }
        evicted
    }

    fn insert(&mut self, name: &str, conversation: Conversation) {
        self.uses += 1;
        let bytes = conversation.cache.bytes();
        self.entries.insert(
            name.to_owned(),
            IdleCache {
                conversation,
                bytes,
                used: self.uses,
            },
        );
    }

    /// Returns the bytes of keys and values in the pool.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.values().map(|entry| entry.bytes).sum()
    }
}
