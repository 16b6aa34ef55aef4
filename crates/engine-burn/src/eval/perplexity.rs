//! Measures how well the model predicts a text, token by token, while the cache rolls over it.

use kv_cache::CachePolicy;

use super::greedy::new_cache;
use crate::{BurnEngineError, LlamaModel, MAX_CHUNK};

/// Rows of logits in memory at once; with 49,152 tokens of vocabulary they take 12 MB.
const LOGIT_ROWS: usize = 64;

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerplexityRun {
    /// Sinks and window, or dense.
    pub policy: CachePolicy,
    /// Tokens to predict.
    pub count: usize,
    /// Tokens that go through the model at once, 1 to [`MAX_CHUNK`].
    pub chunk: usize,
}

/// The negative log-likelihood of each next token, in nats.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Nlls {
    /// Entry `i` belongs to token `i + 1`, after tokens `0..=i`.
    pub nats: Vec<f32>,
    sum: f64,
}

impl Nlls {
    /// The perplexity of all of them: the exponential of their mean. 1 when there are none.
    #[must_use]
    pub fn perplexity(&self) -> f64 {
        (self.sum / self.nats.len().max(1) as f64).exp()
    }

    fn push(&mut self, nats: f64) {
        self.sum += nats;
        self.nats.push(nats as f32);
    }
}

/// Predicts the tokens `1..=count` of a text, each from all those before it that the policy lets it see.
///
/// `progress` is called after every chunk with what there is so far.
///
/// # Errors
/// [`BurnEngineError::TextTooShort`] when there are fewer than `count + 1` tokens, [`BurnEngineError::ZeroSize`] for a
/// chunk of 0, and those of [`LlamaModel::forward`].
pub fn perplexity(
    model: &LlamaModel,
    ids: &[u32],
    run: PerplexityRun,
    progress: &mut (dyn FnMut(&Nlls) + Send),
) -> Result<Nlls, BurnEngineError> {
    if run.chunk == 0 {
        return Err(BurnEngineError::ZeroSize { name: "chunk" });
    }
    if ids.len() <= run.count {
        return Err(BurnEngineError::TextTooShort {
            tokens: ids.len(),
            needed: run.count.saturating_add(1),
        });
    }
    let mut cache = new_cache(model, run.policy)?;
    let mut nlls = Nlls::default();
    for first in (0..run.count).step_by(run.chunk.min(MAX_CHUNK)) {
        let end = run.count.min(first + run.chunk.min(MAX_CHUNK));
        let mut targets = ids[first + 1..=end].iter();
        model.forward_in_blocks(&mut cache, &ids[first..end], LOGIT_ROWS, &mut |logits| {
            for (row, &target) in logits.rows().zip(&mut targets) {
                nlls.push(nats(row, target)?);
            }
            Ok(())
        })?;
        progress(&nlls);
    }
    Ok(nlls)
}

/// The negative log-likelihood of a token.
fn nats(logits: &[f32], target: u32) -> Result<f64, BurnEngineError> {
    let vocab_size = logits.len();
    let logit = logits
        .get(target as usize)
        .ok_or(BurnEngineError::UnknownToken { id: target, vocab_size })?;
    Ok(log_sum_exp(logits) - f64::from(*logit))
}

fn log_sum_exp(logits: &[f32]) -> f64 {
    let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - max).exp()).sum();
    max + sum.ln()
}
