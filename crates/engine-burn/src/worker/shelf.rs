//! The caches of conversations that no turn runs in, until their next turn or until there is no room. What is put here goes to disk
//! too, if there is one, and comes back from there.

use std::collections::HashMap;
use std::sync::Arc;

use engine::TurnTag;

use super::conversation::Conversation;
use super::runner::ModelRunner;
use crate::disk::Disk;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    disk: Option<Arc<Disk>>,
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
    /// A shelf, with a disk behind it if there is one.
    pub(crate) fn new(disk: Option<Arc<Disk>>) -> Self {
        Self {
            disk,
            ..Self::default()
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Conversation> {
        self.entries.get(name).map(|entry| &entry.conversation)
    }

    /// All that are here.
    pub(crate) fn conversations(&self) -> impl Iterator<Item = &Conversation> {
        self.entries.values().map(|entry| &entry.conversation)
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Conversation> {
        self.entries.remove(name).map(|entry| entry.conversation)
    }

    /// Has a conversation that ends with that turn here, if it is to be had.
    pub(crate) fn fetch(&mut self, name: &str, tag: TurnTag, machine: &ModelRunner) {
        if self.entries.contains_key(name) {
            return;
        }
        let new_cache = |policy| machine.new_cache(policy).ok();
        let loaded = self.disk.as_ref().and_then(|disk| disk.load(name, tag, new_cache));
        if let Some(conversation) = loaded {
            self.insert(name, conversation);
        }
    }

    /// Drops a conversation, here and on disk.
    pub(crate) fn discard(&mut self, name: &str) {
        drop(self.take(name));
        if let Some(disk) = &self.disk {
            disk.forget(name);
        }
    }

    /// The turn that a conversation can go on from.
    pub(crate) fn through(&self, name: &str) -> Option<TurnTag> {
        let on_disk = || self.disk.as_ref().and_then(|disk| disk.through(name));
        self.get(name)
            .map(|conversation| conversation.ledger.last)
            .or_else(on_disk)
    }

    /// Puts a conversation back, and gives the names of those that had to go from disk, which were used longest ago.
    pub(crate) fn put(&mut self, name: &str, mut conversation: Conversation) -> Vec<String> {
        let mut pruned = Vec::new();
        if let Some(disk) = &self.disk {
            disk.save(name, &mut conversation);
            pruned = disk.take_pruned();
        }
        self.insert(name, conversation);
        pruned
    }

    /// Drops what was used longest ago until all take at most `max_bytes`, or `least` are left; gives the names of those that went.
    pub(crate) fn keep_within(&mut self, max_bytes: usize, least: usize) -> Vec<String> {
        let mut gone = Vec::new();
        while self.bytes() > max_bytes && self.entries.len() > least {
            let oldest = self
                .entries
                .iter()
                .min_by_key(|(_, entry)| entry.used)
                .map(|(name, _)| name.clone());
            let oldest = oldest.expect("there are entries");
            self.entries.remove(&oldest);
            gone.push(oldest);
        }
        gone
    }

    fn insert(&mut self, name: &str, conversation: Conversation) {
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
    }

    /// Bytes of keys and values on it.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.values().map(|entry| entry.bytes).sum()
    }
}
