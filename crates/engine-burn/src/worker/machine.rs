//! What all turns share: the loaded model, the sampler, and the prompt format.

use std::sync::Arc;

use engine::{EngineError, Options};
use kv_cache::CachePolicy;

use crate::error::with_sources;
use crate::prompt::{Defaults, PromptFormat};
use crate::sampler::{Draw, Sampler};
use crate::{BurnEngineError, LlamaModel, LogitsWanted, SequenceCache};

/// See the module.
#[derive(Debug)]
pub(crate) struct Machine {
    model: LlamaModel,
    format: Arc<PromptFormat>,
    defaults: Defaults,
    sampler: Sampler,
    /// Of the last token that was read for them.
    logits: Vec<f32>,
}

impl Machine {
    pub(crate) fn new(model: LlamaModel, format: Arc<PromptFormat>, defaults: Defaults) -> Self {
        Self {
            model,
            format,
            defaults,
            sampler: Sampler::default(),
            logits: Vec::new(),
        }
    }

    pub(crate) fn format(&self) -> &PromptFormat {
        &self.format
    }

    pub(crate) fn context_tokens(&self) -> u64 {
        self.defaults.context_tokens
    }

    /// The cache of a conversation; see [`Defaults::place`].
    pub(crate) fn place(&self, options: &Options, system_tokens: u64) -> Result<CachePolicy, EngineError> {
        self.defaults.place(options, system_tokens)
    }

    pub(crate) fn new_cache(&self, policy: CachePolicy) -> Result<SequenceCache, EngineError> {
        // What a cache refuses is a size that the request or its agent asked for.
        self.model
            .new_cache(policy)
            .map_err(|error| EngineError::InvalidRequest {
                reason: with_sources(&error),
            })
    }

    /// Whether a token ends an answer.
    pub(crate) fn is_stop(&self, id: u32) -> bool {
        self.model.config().stop_ids.contains(&id)
    }

    /// Reads a chunk; with `wants_logits`, [`Machine::choose`] can choose what follows it.
    pub(crate) fn read(
        &mut self,
        cache: &mut SequenceCache,
        ids: &[u32],
        wants_logits: bool,
    ) -> Result<(), EngineError> {
        let wanted = if wants_logits {
            LogitsWanted::Last
        } else {
            LogitsWanted::None
        };
        let logits = self
            .model
            .forward(cache, ids, wanted)
            .map_err(|error| internal(&error))?;
        if wants_logits {
            self.logits = logits.into_values();
        }
        Ok(())
    }

    /// Chooses the token that follows the chunk that was read last.
    pub(crate) fn choose(&mut self, options: &Options, recent: &[u32], draw: Draw) -> Result<u32, EngineError> {
        let chosen = self.sampler.sample(&mut self.logits, options, recent, draw);
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
