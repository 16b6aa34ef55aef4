//! Caches of conversations on disk (KV offload), for when memory no longer has them or the process has restarted.
//!
//! After each turn, what the turn added to the cache is copied and handed to a thread that appends it to the
//! conversation's file ([`file`] has the format). Nothing waits for that thread, and a lost write costs only the time
//! of a prefill: what could not be written is written after the next turn, or the file is removed. A file never has
//! more than its conversation had; the [`CacheIndex`] has the turn that it ends with, and a request that continues from
//! it names that turn. The folder stays within a budget: the least recently used files are removed first.

mod file;
mod folder;
mod queue;
mod record;
mod writer;

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use engine::TurnTag;
use kv_cache::CachePolicy;

use crate::cache::Saved;
use crate::cache_index::{CacheIndex, FileContents, Forgotten};
use crate::conversation::Conversation;
use crate::file_generation::FileGeneration;
use crate::settings::CacheStoreSettings;
use crate::{BurnEngineError, SequenceCache};

use file::Frame;
use folder::Folder;
use queue::{WriteJob, WriteQueue};
use record::{Checkpoint, Header};

/// A file is rewritten when it would grow beyond this many times the size of a whole cache: half of its bytes are
/// obsolete then.
const MAX_GROWTH: usize = 2;

/// The files of one folder, and the thread that writes them. Dropping it waits until everything is written.
#[derive(Debug)]
pub(crate) struct CacheStore {
    index: Arc<CacheIndex>,
    folder: Arc<Folder>,
    queue: Arc<WriteQueue>,
    budget_bytes: u64,
    /// The model's fingerprint, and the block type that its weights were quantised to while they were loaded.
    model: String,
    writer: Option<JoinHandle<()>>,
}

impl CacheStore {
    /// Opens a folder and adds the conversations of `model` in it to the index. Changes nothing on disk before the
    /// first conversation is saved.
    pub(crate) fn open(
        settings: CacheStoreSettings,
        model: &str,
        index: &Arc<CacheIndex>,
    ) -> Result<Self, BurnEngineError> {
        let CacheStoreSettings { folder, budget_bytes } = settings;
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
        for (conversation, contents) in scan.usable {
            index.add_file(conversation, contents);
        }
        let folder = Arc::new(Folder::new(folder, Arc::clone(index)));
        let queue = Arc::new(WriteQueue::default());
        let writer = {
            let (queue, folder) = (Arc::clone(&queue), Arc::clone(&folder));
            let thread = thread::Builder::new().name("cache-writer".to_owned());
            thread
                .spawn(move || writer::run(&queue, &folder, budget_bytes, scan.unusable))
                .map_err(|source| BurnEngineError::SpawnThread { source })?
        };
        Ok(Self {
            index: Arc::clone(index),
            folder,
            queue,
            budget_bytes,
            model: model.to_owned(),
            writer: Some(writer),
        })
    }

    /// Queues what a turn has added for the writer. If the queue has no room, it is saved after the conversation's next
    /// turn.
    pub(crate) fn save(&self, name: &str, conversation: &mut Conversation) {
        let Some(store) = conversation.cache.f16() else {
            return;
        };
        let checkpoint = Checkpoint::new(conversation);
        let Some(plan) = self.plan(name, conversation, &checkpoint) else {
            return;
        };
        let body = Frame::checkpoint(
            &checkpoint,
            store.save(conversation.cache.ring(), plan.first_position()),
        );
        let (frames, offset) = match plan {
            WritePlan::NewFile => (
                vec![Frame::header(&Header::new(&self.model, name, conversation)), body],
                0,
            ),
            WritePlan::Append { offset, .. } => (vec![body], offset),
        };
        let contents = FileContents {
            through: TurnTag(checkpoint.last),
            bytes: offset + frames.iter().map(Frame::bytes).sum::<usize>() as u64,
        };
        let generation = match plan {
            WritePlan::NewFile => self.index.begin_file(name, contents),
            WritePlan::Append { generation, .. } => self
                .index
                .set_contents(name, generation, contents)
                .then_some(generation),
        };
        // Without a generation, the file was removed or its conversation forgotten in the meantime.
        let Some(generation) = generation else { return };
        conversation.cache.set_saved(generation);
        self.queue.push(WriteJob {
            conversation: name.to_owned(),
            generation,
            offset,
            frames,
        });
    }

    /// Decides what to write of a cache. Returns `None` if nothing is new, or there is no room.
    fn plan(&self, name: &str, conversation: &Conversation, checkpoint: &Checkpoint) -> Option<WritePlan> {
        let (cache, store) = (&conversation.cache, conversation.cache.f16()?);
        let file = self.index.file(name);
        // A file is appended to if it has this cache, and was not removed meanwhile.
        let append = cache.saved().and_then(|Saved { generation, tokens }| {
            let contents = file.filter(|file| file.generation == generation)?.contents;
            let plan = WritePlan::Append {
                generation,
                from: tokens,
                offset: contents.bytes,
            };
            Some((contents.through, plan))
        });
        if let Some((through, plan)) = append
            && through.0 == checkpoint.last
            && plan.first_position() == checkpoint.position
        {
            self.index.touch_file(name);
            return None;
        }
        let bytes = |plan: WritePlan| store.saved_bytes(cache.ring(), plan.first_position());
        let file_bytes = |plan: WritePlan| plan.offset() + bytes(plan) as u64;
        let max_bytes = (MAX_GROWTH * store.max_bytes()) as u64;
        let plan = append
            .map(|(_, plan)| plan)
            .filter(|plan| file_bytes(*plan) <= max_bytes)
            .unwrap_or(WritePlan::NewFile);
        (file_bytes(plan) <= self.budget_bytes && self.queue.has_room(bytes(plan))).then_some(plan)
    }

    /// Loads a conversation that ends with turn `tag`, after waiting for its queued writes. Waits for none if no file
    /// is to end with that turn: the index has a file's end before its write is queued.
    pub(crate) fn load(
        &self,
        name: &str,
        tag: TurnTag,
        new_cache: impl FnOnce(CachePolicy) -> Option<SequenceCache>,
    ) -> Option<Conversation> {
        let indexed = || self.index.file(name).filter(|file| file.contents.through == tag);
        indexed()?;
        self.queue.wait_written(name);
        // A write that failed has changed the index.
        let file = indexed()?;
        let path = self.folder.file(name);
        let loaded = file::load(&path, &self.model, new_cache).unwrap_or_else(|error| {
            tracing::warn!(file = %path.display(), %error, "a cache on disk can't be read");
            None
        });
        let Some((mut conversation, bytes)) = loaded else {
            self.folder.remove(name, file.generation);
            return None;
        };
        let through = conversation.stream.last;
        // A damaged file ends with an earlier turn.
        self.index
            .set_contents(name, file.generation, FileContents { through, bytes });
        conversation.cache.set_saved(file.generation);
        (through == tag).then_some(conversation)
    }

    /// Forgets a conversation, and removes its file before it returns.
    pub(crate) fn forget(&self, name: &str) -> Forgotten {
        self.folder.forget(name)
    }
}

impl Drop for CacheStore {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            // The panic hook has reported a panic of the writer; nothing is left to do about it.
            drop(writer.join());
        }
    }
}

/// Where a cache is written to, and which part of it.
#[derive(Debug, Clone, Copy)]
enum WritePlan {
    /// All of it, to a new file.
    NewFile,
    /// What follows position `from`, at this offset of the conversation's file.
    Append {
        generation: FileGeneration,
        from: u64,
        offset: u64,
    },
}

impl WritePlan {
    fn first_position(self) -> u64 {
        match self {
            Self::NewFile => 0,
            Self::Append { from, .. } => from,
        }
    }

    fn offset(self) -> u64 {
        match self {
            Self::NewFile => 0,
            Self::Append { offset, .. } => offset,
        }
    }
}
