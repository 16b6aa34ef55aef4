//! Caches of conversations on disk, from which a next turn goes on when memory no longer has them, or the process is another.
//!
//! After each turn, what it added to the cache is copied and handed to a thread that appends it to the conversation's file
//! ([`file`] says how). Nothing waits for that, and nothing is lost with it but the time of a prefill: what could not be written is
//! written with the next turn, or the file goes. A file never says more than its conversation was; which turn it ends with is known
//! here, and whoever goes on from it names that turn. The folder stays within a budget: what was used longest ago goes first.

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
use crate::settings::Checkpoints;
use crate::worker::Conversation;
use crate::{BurnEngineError, SequenceCache};

pub(crate) use state::FileGeneration;

use file::Frame;
use record::{Head, Mark};
use state::{Job, Shared};

/// A file is written anew when it has grown to so many times what a whole cache takes: half of its bytes are old then.
const MAX_GROWTH: usize = 2;

/// See the module. Dropping it waits until everything is written.
#[derive(Debug)]
pub(crate) struct Disk {
    shared: Arc<Shared>,
    folder: PathBuf,
    budget_bytes: u64,
    /// The model's fingerprint, and what its weights were quantised to when they were loaded.
    model: String,
    writer: Option<JoinHandle<()>>,
}

impl Disk {
    /// Looks what the folder has for the model of that name. Changes nothing there before the first conversation is saved.
    pub(crate) fn open(settings: Checkpoints, model: &str) -> Result<Self, BurnEngineError> {
        let Checkpoints { folder, budget_bytes } = settings;
        let survey = file::survey(&folder, model).unwrap_or_else(|error| {
            tracing::warn!(folder = %folder.display(), %error, "caches on disk can't be read");
            file::Survey::default()
        });
        if !survey.useless.is_empty() {
            let files = survey.useless.len();
            tracing::info!(
                files,
                "caches on disk of another model or version, or damaged, are not used"
            );
        }
        let shared = Arc::new(Shared::new(survey.found, budget_bytes));
        let writer = {
            let (shared, folder) = (Arc::clone(&shared), folder.clone());
            let thread = thread::Builder::new().name("cache-writer".to_owned());
            thread
                .spawn(move || writer::work(&shared, &folder, survey.useless))
                .map_err(|source| BurnEngineError::Worker { source })?
        };
        Ok(Self {
            shared,
            folder,
            budget_bytes,
            model: model.to_owned(),
            writer: Some(writer),
        })
    }

    /// All conversations that can be gone on from, and the turn that each ends with.
    pub(crate) fn conversations(&self) -> Vec<(String, TurnTag)> {
        let state = self.shared.lock();
        let entries = state.entries.iter();
        entries.map(|(name, entry)| (name.clone(), entry.through)).collect()
    }

    /// The turn that a conversation ends with on disk.
    pub(crate) fn through(&self, name: &str) -> Option<TurnTag> {
        self.shared.lock().entries.get(name).map(|entry| entry.through)
    }

    /// Conversations that had to go for the budget, since this was asked last.
    pub(crate) fn take_pruned(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().pruned)
    }

    /// Hands over what a turn has added. A conversation that finds no room in the queue is saved with its next turn.
    pub(crate) fn save(&self, name: &str, conversation: &mut Conversation) {
        let Some(store) = conversation.cache.f16() else {
            return;
        };
        let (ring, saved) = (conversation.cache.ring(), conversation.cache.saved());
        let mark = Mark::new(conversation);
        let Some(Piece { from, end }) = self.piece(name, conversation, &mark) else {
            return;
        };
        let mut frames = Vec::with_capacity(2);
        if end == 0 {
            frames.push(Frame::head(&Head::new(&self.model, name, conversation)));
        }
        frames.push(Frame::checkpoint(&mark, store.save(ring, from)));
        let job = Job {
            conversation: name.to_owned(),
            path: file::path(&self.folder, name),
            end,
            frames,
            through: TurnTag(mark.last),
        };
        if let Some(life) = self.shared.submit(job, saved.map(|saved| saved.life)) {
            conversation.cache.set_saved(life);
        }
    }

    /// What is to be written; nothing where nothing is new, or there is no room.
    fn piece(&self, name: &str, conversation: &Conversation, mark: &Mark) -> Option<Piece> {
        let (cache, store) = (&conversation.cache, conversation.cache.f16()?);
        let mut state = self.shared.lock();
        // A file goes on where it is of this cache, and was not removed meanwhile.
        let goes_on = cache.saved().and_then(|Saved { life, tokens }| {
            let entry = state.entries.get(name).filter(|entry| entry.life == life)?;
            Some((
                entry.through,
                Piece {
                    from: tokens,
                    end: entry.bytes,
                },
            ))
        });
        if let Some((through, piece)) = &goes_on
            && through.0 == mark.last
            && piece.from == mark.position
        {
            state.touch(name);
            return None;
        }
        let bytes = |piece: &Piece| store.saved_bytes(cache.ring(), piece.from);
        let file_bytes = |piece: &Piece| piece.end + bytes(piece) as u64;
        let most = (MAX_GROWTH * store.max_bytes()) as u64;
        let piece = goes_on
            .map(|(_, piece)| piece)
            .filter(|piece| file_bytes(piece) <= most);
        let piece = piece.unwrap_or(Piece { from: 0, end: 0 });
        (file_bytes(&piece) <= self.budget_bytes && state.has_room(bytes(&piece))).then_some(piece)
    }

    /// Brings a conversation back that ends with that turn; waits for what is still to be written of it.
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
        let through = conversation.ledger.last;
        self.shared.lock().correct(name, entry.life, (through, end));
        conversation.cache.set_saved(entry.life);
        (through == tag).then_some(conversation)
    }

    /// Removes the file of a conversation, now.
    pub(crate) fn forget(&self, name: &str) {
        self.shared.forget(name, &file::path(&self.folder, name));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has said so; there is nothing left to do about it.
            drop(writer.join());
        }
    }
}

/// What is to be written of a cache.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Its first position.
    from: u64,
    /// Where in the file it goes; at 0 begins a new file.
    end: u64,
}
