//! Caches of conversations on disk (KV offload), for when memory no longer has them or the process has restarted.
//!
//! After each turn, what the turn added to the cache is copied and handed to a thread that appends it to the
//! conversation's file ([`file`] has the format). Nothing waits for that thread, and a lost write costs only the time
//! of a prefill: what could not be written is written after the next turn, or the file is removed. A file never has
//! more than its conversation had; the turn that it ends with is known here, and a request that continues from it names
//! that turn. The folder stays within a budget: the least recently used files are removed first.

mod file;
mod record;
mod state;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use engine::TurnTag;
use kv_cache::CachePolicy;

use crate::cache::Saved;
use crate::conversation::Conversation;
use crate::settings::Checkpoints;
use crate::{BurnEngineError, SequenceCache};

use file::Frame;
use record::{Checkpoint, Header};
use state::{Shared, WriteJob};

/// A file is rewritten when it would grow beyond this many times the size of a whole cache: half of its bytes are
/// obsolete then.
const MAX_GROWTH: usize = 2;

/// The files of one folder, and the thread that writes them. Dropping it waits until everything is written.
#[derive(Debug)]
pub(crate) struct CacheStore {
    shared: Arc<Shared>,
    folder: PathBuf,
    budget_bytes: u64,
    /// The model's fingerprint, and the block type that its weights were quantised to while they were loaded.
    model: String,
    writer: Option<JoinHandle<()>>,
}

impl CacheStore {
    /// Opens a folder and finds the conversations of `model` in it. Changes nothing there before the first conversation
    /// is saved.
    pub(crate) fn open(settings: Checkpoints, model: &str) -> Result<Self, BurnEngineError> {
        let Checkpoints { folder, budget_bytes } = settings;
        let scan = file::scan(&folder, model).unwrap_or_else(|error| {
            tracing::warn!(folder = %folder.display(), %error, "caches on disk can't be read");
            file::Scan::default()
        });
        if !scan.unusable.is_empty() {
            let files = scan.unusable.len();
            tracing::info!(
                files,
                "caches on disk of another model or version, or damaged, are not used"
            );
        }
        let shared = Arc::new(Shared::new(scan.usable, budget_bytes));
        let writer = {
            let (shared, folder) = (Arc::clone(&shared), folder.clone());
            let thread = thread::Builder::new().name("cache-writer".to_owned());
            thread
                .spawn(move || writer::run(&shared, &folder, scan.unusable))
                .map_err(|source| BurnEngineError::SpawnThread { source })?
        };
        Ok(Self {
            shared,
            folder,
            budget_bytes,
            model: model.to_owned(),
            writer: Some(writer),
        })
    }

    /// Returns all conversations on disk, and the turn that each ends with.
    pub(crate) fn conversations(&self) -> Vec<(String, TurnTag)> {
        let state = self.shared.lock();
        let entries = state.entries.iter();
        entries.map(|(name, entry)| (name.clone(), entry.through)).collect()
    }

    /// Returns the turn that a conversation ends with on disk.
    pub(crate) fn through(&self, name: &str) -> Option<TurnTag> {
        self.shared.lock().entries.get(name).map(|entry| entry.through)
    }

    /// Returns the conversations that were removed for the budget since the last call.
    pub(crate) fn take_pruned(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().pruned)
    }

    /// Queues what a turn has added for the writer. If the queue has no room, it is saved after the conversation's next
    /// turn.
    pub(crate) fn save(&self, name: &str, conversation: &mut Conversation) {
        let Some(store) = conversation.cache.f16() else {
            return;
        };
        let (ring, saved) = (conversation.cache.ring(), conversation.cache.saved());
        let checkpoint = Checkpoint::new(conversation);
        let Some(WritePlan { from, offset }) = self.plan(name, conversation, &checkpoint) else {
            return;
        };
        let mut frames = Vec::with_capacity(2);
        if offset == 0 {
            frames.push(Frame::header(&Header::new(&self.model, name, conversation)));
        }
        frames.push(Frame::checkpoint(&checkpoint, store.save(ring, from)));
        let job = WriteJob {
            conversation: name.to_owned(),
            path: file::path(&self.folder, name),
            offset,
            frames,
            through: TurnTag(checkpoint.last),
        };
        if let Some(generation) = self.shared.submit(job, saved.map(|saved| saved.life)) {
            conversation.cache.set_saved(generation);
        }
    }

    /// Decides what to write of a cache. Returns `None` if nothing is new, or there is no room.
    fn plan(&self, name: &str, conversation: &Conversation, checkpoint: &Checkpoint) -> Option<WritePlan> {
        let (cache, store) = (&conversation.cache, conversation.cache.f16()?);
        let mut state = self.shared.lock();
        // A file is appended to if it has this cache, and was not removed meanwhile.
        let append = cache.saved().and_then(|Saved { life, tokens }| {
            let entry = state.entries.get(name).filter(|entry| entry.generation == life)?;
            let (from, offset) = (tokens, entry.bytes);
            Some((entry.through, WritePlan { from, offset }))
        });
        if let Some((through, plan)) = &append
            && through.0 == checkpoint.last
            && plan.from == checkpoint.position
        {
            state.touch(name);
            return None;
        }
        let bytes = |plan: &WritePlan| store.saved_bytes(cache.ring(), plan.from);
        let file_bytes = |plan: &WritePlan| plan.offset + bytes(plan) as u64;
        let max_bytes = (MAX_GROWTH * store.max_bytes()) as u64;
        let plan = append
            .map(|(_, plan)| plan)
            .filter(|plan| file_bytes(plan) <= max_bytes);
        let plan = plan.unwrap_or(WritePlan { from: 0, offset: 0 });
        (file_bytes(&plan) <= self.budget_bytes && state.has_room(bytes(&plan))).then_some(plan)
    }

    /// Loads a conversation that ends with turn `tag`, after waiting for its queued writes.
    pub(crate) fn load(
        &self,
        name: &str,
        tag: TurnTag,
        new_cache: impl FnOnce(CachePolicy) -> Option<SequenceCache>,
    ) -> Option<Conversation> {
        let entry = self.shared.settled(name).filter(|entry| entry.through == tag)?;
        let path = file::path(&self.folder, name);
        let loaded = file::load(&path, &self.model, new_cache).unwrap_or_else(|error| {
            tracing::warn!(file = %path.display(), %error, "a cache on disk can't be read");
            None
        });
        let Some((mut conversation, end)) = loaded else {
            self.forget(name);
            return None;
        };
        let through = conversation.stream.last;
        self.shared.lock().correct(name, entry.generation, (through, end));
        conversation.cache.set_saved(entry.generation);
        (through == tag).then_some(conversation)
    }

    /// Removes the file of a conversation before it returns.
    pub(crate) fn forget(&self, name: &str) {
        self.shared.forget(name, &file::path(&self.folder, name));
    }
}

impl Drop for CacheStore {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(writer) = self.writer.take() {
            // The panic hook has reported a panic of the writer; nothing is left to do about it.
            drop(writer.join());
        }
    }
}

/// The part of a cache that is written, and where it goes.
#[derive(Debug, Clone, Copy)]
struct WritePlan {
    /// The first position that is written.
    from: u64,
    /// The offset in the file; 0 begins a new file.
    offset: u64,
}
