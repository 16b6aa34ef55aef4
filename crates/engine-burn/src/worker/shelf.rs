//! The caches of conversations that no turn runs in, until their next turn or until there is no room. What is put here goes to disk
//! too, if there is one, and comes back from there.

use std::collections::HashMap;
use std::sync::Arc;

use engine::Tag;

use super::conversation::Conversation;
use super::machine::Machine;
use crate::disk::Disk;

/// Bytes of keys and values that idle conversations may take together: beside the default model's weights this stays well
/// under a gigabyte, and it holds some 11,000 tokens of it.
pub(crate) const IDLE_CACHE_BYTES: usize = 512 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shelf {
    max_bytes: usize,
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
    /// A shelf for `max_bytes` of keys and values.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            disk: None,
            entries: HashMap::new(),
            uses: 0,
        }
    }

    /// The same with a disk behind it.
    pub(crate) fn with_disk(mut self, disk: Option<Arc<Disk>>) -> Self {
        self.disk = disk;
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Conversation> {
        self.entries.get(name).map(|entry| &entry.conversation)
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Conversation> {
        self.entries.remove(name).map(|entry| entry.conversation)
    }

    /// Has a conversation that ends with that turn here, if it is to be had.
    pub(crate) fn fetch(&mut self, name: &str, tag: Tag, machine: &Machine) {
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
    pub(crate) fn through(&self, name: &str) -> Option<Tag> {
        let on_disk = || self.disk.as_ref().and_then(|disk| disk.through(name));
        self.get(name)
            .map(|conversation| conversation.ledger.last)
            .or_else(on_disk)
    }

    /// Puts a conversation back and gives the names of those that had to go from here, or from disk, which were used longest ago.
    /// What is put back always stays, even when it is larger than the shelf: without it no conversation of that size could ever go on.
    pub(crate) fn put(&mut self, name: &str, mut conversation: Conversation) -> Vec<String> {
        let mut gone = Vec::new();
        if let Some(disk) = &self.disk {
            disk.save(name, &mut conversation);
            gone = disk.take_pruned();
        }
        self.insert(name, conversation);
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
