//! The caches of idle conversations in memory, in order of use.
//!
//! A conversation is taken out when its turn begins, and put back when the turn has ended. The least recently used ones
//! are evicted when memory is needed. With a [`CacheStore`], what is put here goes to disk too, and is loaded from
//! there on demand. All changes are recorded in the [`CacheIndex`], which learns of a turn's end from its sequence.

use std::collections::HashMap;
use std::sync::Arc;

use engine::TurnTag;

use super::runner::ModelRunner;
use crate::cache_index::CacheIndex;
use crate::cache_store::CacheStore;
use crate::conversation::Conversation;

/// The idle conversations in memory, and the store behind them.
#[derive(Debug, Default)]
pub(crate) struct CachePool {
    index: Arc<CacheIndex>,
    store: Option<Arc<CacheStore>>,
    idle: HashMap<String, IdleCache>,
    /// Counts uses, for finding the least recently used conversation.
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
    pub(crate) fn new(index: Arc<CacheIndex>, store: Option<Arc<CacheStore>>) -> Self {
        Self {
            index,
            store,
            ..Self::default()
        }
    }

    /// Returns the registry in which the pool records its conversations.
    pub(crate) fn index(&self) -> &Arc<CacheIndex> {
        &self.index
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Conversation> {
        self.idle.get(name).map(|cache| &cache.conversation)
    }

    /// Returns all conversations in the pool.
    pub(crate) fn conversations(&self) -> impl Iterator<Item = &Conversation> {
        self.idle.values().map(|cache| &cache.conversation)
    }

    /// Returns the bytes of keys and values in the pool.
    pub(crate) fn bytes(&self) -> usize {
        self.idle.values().map(|cache| cache.bytes).sum()
    }

    /// Loads a conversation from disk if memory doesn't have it and its file ends with turn `tag`.
    pub(crate) fn load(&mut self, name: &str, tag: TurnTag, runner: &ModelRunner) {
        let Some(store) = self.store.as_ref().filter(|_| !self.idle.contains_key(name)) else {
            return;
        };
        self.index.begin(name);
        let new_cache = |policy| runner.new_cache(policy).ok();
        match store.load(name, tag, new_cache) {
            // False if it was forgotten while it was read.
            Some(conversation) if self.index.end(name, conversation.stream.last) => self.insert(name, conversation),
            Some(_) | None => self.index.evict(name),
        }
    }

    /// Takes a conversation out for its next turn.
    pub(crate) fn take(&mut self, name: &str) -> Option<Conversation> {
        let cache = self.idle.remove(name)?;
        self.index.begin(name);
        Some(cache.conversation)
    }

    /// Drops what there is of a conversation, for the first turn of a new epoch.
    pub(crate) fn begin_new(&mut self, name: &str) {
        self.discard(name);
        self.index.begin(name);
    }

    /// Puts a conversation back after its turn, and saves it; drops it if it was forgotten during the turn.
    pub(crate) fn put(&mut self, name: &str, mut conversation: Conversation) {
        if !self.index.end(name, conversation.stream.last) {
            return;
        }
        if let Some(store) = &self.store {
            store.save(name, &mut conversation);
        }
        self.insert(name, conversation);
    }

    /// Records that a conversation isn't put back, or that its admission failed. It can be continued from what the pool
    /// has, or from its file.
    pub(crate) fn release(&mut self, name: &str) {
        match self.get(name) {
            Some(conversation) => {
                self.index.end(name, conversation.stream.last);
            }
            None => self.index.evict(name),
        }
    }

    /// Drops a conversation from memory and from disk.
    pub(crate) fn discard(&mut self, name: &str) {
        self.idle.remove(name);
        match &self.store {
            Some(store) => store.forget(name),
            None => self.index.forget(name),
        };
    }

    /// Evicts the least recently used conversations until all take at most `max_bytes`, or `min_count` are left.
    pub(crate) fn evict_to(&mut self, max_bytes: usize, min_count: usize) {
        while self.bytes() > max_bytes && self.idle.len() > min_count {
            let oldest = self.idle.iter().min_by_key(|(_, cache)| cache.used);
            let oldest = oldest.map(|(name, _)| name.clone());
            let oldest = oldest.expect("the pool isn't empty");
            self.idle.remove(&oldest);
            self.index.evict(&oldest);
        }
    }

    fn insert(&mut self, name: &str, conversation: Conversation) {
        self.uses += 1;
        let bytes = conversation.cache.bytes();
        self.idle.insert(
            name.to_owned(),
            IdleCache {
                conversation,
                bytes,
                used: self.uses,
            },
        );
    }
}
