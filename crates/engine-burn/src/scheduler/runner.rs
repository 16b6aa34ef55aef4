//! The model with its sampler and prompt format, as the scheduler runs it.
//!
//! Reads chunks of token ids and chooses next tokens. Knows nothing of requests, queues or clients.

use std::sync::Arc;

use engine::{EngineError, Options};
use kv_cache::CachePolicy;

use crate::error::with_sources;
use crate::prompt::{Defaults, PromptFormat};
use crate::sampler::{Draw, Sampler};
use crate::{BurnEngineError, LlamaModel, Logits, SequenceCache, SequenceChunk};

/// The loaded model, and what all sequences need beside it.
pub(crate) struct ModelRunner {
    model: LlamaModel,
    format: Arc<PromptFormat>,
    defaults: Defaults,
    sampler: Sampler,
    /// The logits of the last [`ModelRunner::read`], a row for each chunk that wanted them.
    logits: Logits,
    #[cfg(test)]
    pub(crate) in_step: Option<super::BatchHook>,
}

impl ModelRunner {
    pub(crate) fn new(model: LlamaModel, format: Arc<PromptFormat>, defaults: Defaults) -> Self {
        Self {
            model,
            format,
            defaults,
            sampler: Sampler::default(),
            logits: Logits::new(),
            #[cfg(test)]
            in_step: None,
        }
    }

    #[cfg(test)]
    pub(crate) fn with_hook(mut self, in_step: Option<super::BatchHook>) -> Self {
        self.in_step = in_step;
        self
    }

    pub(crate) fn format(&self) -> &PromptFormat {
        &self.format
    }

    pub(crate) fn context_tokens(&self) -> u64 {
        self.defaults.context_tokens
    }

    /// Returns the cache policy of a conversation; see [`Defaults::cache_policy`].
    pub(crate) fn cache_policy(&self, options: &Options, system_tokens: u64) -> Result<CachePolicy, EngineError> {
        self.defaults.cache_policy(options, system_tokens)
    }

    /// Makes an empty cache.
    ///
    /// # Errors
    /// [`EngineError::InvalidRequest`]: a cache refuses only a size that the request or its agent asked for.
    pub(crate) fn new_cache(&self, policy: CachePolicy) -> Result<SequenceCache, EngineError> {
        self.model
            .new_cache(policy)
            .map_err(|error| EngineError::InvalidRequest {
                reason: with_sources(&error),
            })
    }

    /// Returns true if a token ends an answer.
    pub(crate) fn is_stop(&self, id: u32) -> bool {
        self.model.config().stop_ids.contains(&id)
    }

    /// Reads chunks. [`ModelRunner::choose`] can then choose what follows each chunk that wanted logits.
    pub(crate) fn read(&mut self, chunks: &mut [SequenceChunk<'_>]) -> Result<(), EngineError> {
        let read = self.model.forward_batch_to(chunks, &mut self.logits);
        read.map_err(|error| internal(&error))
    }

    /// Chooses the token that follows a chunk of the last [`ModelRunner::read`]. `row` counts the chunks that wanted
    /// logits.
    pub(crate) fn choose(
        &mut self,
        row: usize,
        options: &Options,
        recent: &[u32],
        draw: Draw,
    ) -> Result<u32, EngineError> {
        let chosen = self.sampler.sample(self.logits.row_mut(row), options, recent, draw);
        chosen.map_err(|error| EngineError::Internal {
            reason: error.to_string(),
        })
    }
}

fn internal(error: &BurnEngineError) -> EngineError {
    EngineError::Internal {
        reason: with_sources(error),
    }
}
