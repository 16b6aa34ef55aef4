//! How well the model predicts a text, token by token, while the cache rolls over it.

use burn::tensor::Tensor;
use kv_cache::CachePolicy;

use crate::{BurnEngineError, LlamaModel, Logits, LogitsWanted, MAX_CHUNK, SequenceChunk};

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
/// `progress` gets what there is so far after every chunk.
///
/// # Errors
/// [`BurnEngineError::TextTooShort`] when there are fewer than `count + 1` tokens, [`BurnEngineError::ZeroSize`] for a chunk of
/// 0, and whatever [`LlamaModel::forward`] refuses.
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
    let mut cache = super::new_cache(model, run.policy)?;
    let mut nlls = Nlls::default();
    for first in (0..run.count).step_by(run.chunk.min(MAX_CHUNK)) {
        let end = run.count.min(first + run.chunk.min(MAX_CHUNK));
        model.device().run(|| {
            let chunk = SequenceChunk {
                cache: &mut cache,
                ids: &ids[first..end],
                wanted: LogitsWanted::All,
            };
            let hidden = model.hidden(&mut [chunk])?;
            push_nlls(model, &hidden, &ids[first + 1..=end], &mut nlls)
        })?;
        progress(&nlls);
    }
    Ok(nlls)
}

fn push_nlls(model: &LlamaModel, hidden: &Tensor<2>, targets: &[u32], nlls: &mut Nlls) -> Result<(), BurnEngineError> {
    let mut logits = Logits::new();
    for (block, targets) in targets.chunks(LOGIT_ROWS).enumerate() {
        let first = block * LOGIT_ROWS;
        let rows = hidden.clone().slice_dim(0, first..first + targets.len());
        model.logits(&rows, &mut logits)?;
        for (row, &target) in logits.rows().zip(targets) {
            let vocab_size = row.len();
            let logit = row
                .get(target as usize)
                .ok_or(BurnEngineError::UnknownToken { id: target, vocab_size })?;
            nlls.push(log_sum_exp(row) - f64::from(*logit));
        }
    }
    Ok(())
}

fn log_sum_exp(logits: &[f32]) -> f64 {
    let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - max).exp()).sum();
    max + sum.ln()
}
