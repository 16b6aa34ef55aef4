//! Generation from ids to ids, without a template.

use engine::Options;
use kv_cache::CachePolicy;

use super::greedy::{argmax, new_cache, prefill};
use crate::cache::MAX_CHUNK;
use crate::sampler::{Draw, PENALTY_TOKENS, Sampler};
use crate::{BurnEngineError, LlamaModel, LogitsWanted};

/// What to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRun {
    /// Sinks and window, or dense.
    pub policy: CachePolicy,
    /// How tokens are chosen, and how many; its stop strings and cache sizes are ignored.
    pub options: Options,
    /// The seed of the choice.
    pub seed: u64,
}

/// Reads a prompt of any length and generates until a stop token of the model, which isn't part of the result, or the
/// limit.
///
/// `progress` is called with each token.
///
/// # Errors
/// [`BurnEngineError::EmptyChunk`] for an empty prompt, [`BurnEngineError::Sample`], and those of
/// [`LlamaModel::forward`].
pub fn generate_ids(
    model: &LlamaModel,
    prompt: &[u32],
    run: &GenerateRun,
    progress: &mut dyn FnMut(u32),
) -> Result<Vec<u32>, BurnEngineError> {
    let mut cache = new_cache(model, run.policy)?;
    let mut logits = prefill(model, &mut cache, prompt)?;
    let mut stream = prompt.to_vec();
    let mut generated = Vec::new();
    let mut sampler = Sampler::default();
    for token_idx in 0..u64::from(run.options.max_new_tokens) {
        let recent = &stream[stream.len().saturating_sub(PENALTY_TOKENS)..];
        let draw = Draw {
            seed: run.seed,
            token_idx,
        };
        let id = sampler.sample(&mut logits.into_values(), &run.options, recent, draw)?;
        if model.config().stop_ids.contains(&id) {
            break;
        }
        progress(id);
        stream.push(id);
        generated.push(id);
        logits = model.forward(&mut cache, &[id], LogitsWanted::Last)?;
    }
    Ok(generated)
}

/// The model's first choice for a next token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The token with the greatest logit; the lowest of equals.
    pub id: u32,
    /// How far its logit is above the second one's.
    pub margin: f32,
}

/// Returns what the model would choose after each token of a given text, from token `from` on.
///
/// # Errors
/// [`BurnEngineError::EmptyChunk`] when `from` is 0 or there is no token there, and those of [`LlamaModel::forward`].
pub fn teacher_forced(
    model: &LlamaModel,
    ids: &[u32],
    from: usize,
    policy: CachePolicy,
) -> Result<Vec<Choice>, BurnEngineError> {
    let Some((prompt, answer)) = ids.split_at_checked(from) else {
        return Err(BurnEngineError::EmptyChunk);
    };
    let mut cache = new_cache(model, policy)?;
    let logits = prefill(model, &mut cache, prompt)?;
    let mut choices: Vec<Choice> = logits.rows().map(choice).collect();
    for chunk in answer.chunks(MAX_CHUNK) {
        let logits = model.forward(&mut cache, chunk, LogitsWanted::All)?;
        choices.extend(logits.rows().map(choice));
    }
    Ok(choices)
}

fn choice(logits: &[f32]) -> Choice {
    let id = argmax(logits);
    let best = logits[id as usize];
    let others = logits.iter().enumerate().filter(|&(other, _)| other != id as usize);
    let second = others.map(|(_, &logit)| logit).fold(f32::NEG_INFINITY, f32::max);
    Choice {
        id,
        margin: best - second,
    }
}
