//! Measurements of the model alone: token ids in, no template, greedy sampling only.

use std::path::Path;
use std::time::Duration;

use engine_burn::eval::bench::{
    DecodeRun, StreamRun, cache_bytes_a_token, stream_cost, time_decode, time_prefill, weight_bytes,
};
use engine_burn::eval::{FlatCostRun, flat_cost};
use engine_burn::{CachePolicy, LlamaModel, LogitsWanted};

use super::plan::{Plan, STREAM_SINKS};
use super::policy::{serving_policy, streaming_policy};
use super::prompts::ids;
use super::report::{Decode, FlatCost, Prefill, Recompute, Report, Stream, TokenParts};
use super::sample::Sample;
use crate::error::CommandError;
use crate::local_engine;
use crate::progress::{bar, spinner};
use crate::settings::Settings;

/// Where the far stream of the flat cost begins.
const FAR_POSITION: u64 = 1_000_000;

/// Tokens that one stream decodes before the other has its turn: long enough for a clock, short enough that both meet
/// the same load on the machine.
const FLAT_COST_TOKENS: usize = 50;

/// Tokens decoded beyond a full view before the cost is measured.
const SPARE_TOKENS: usize = 8;

/// Loads the model, measures, and drops it.
pub(super) fn measure(settings: &Settings, path: &Path, plan: &Plan, report: &mut Report) -> Result<(), CommandError> {
    let loading = spinner("loading the model");
    let model = local_engine::load(path, settings)?;
    loading.finish_and_clear();
    let bench = ModelBench {
        model: &model,
        serving: serving_policy(settings, model.config().context_tokens)?,
        plan,
    };
    bench.model.device().name().clone_into(&mut report.device);
    report.weights = bench.model.stored_weights().to_string();
    bench.speeds(report)?;
    report.recompute = plan.recompute.map(|seen| bench.recompute(seen)).transpose()?;
    report.token_parts = plan.token_parts.map(|context| bench.token_parts(context)).transpose()?;
    report.flat_cost = plan.flat_cost.map(|pairs| bench.flat_cost(pairs)).transpose()?;
    report.stream = plan.stream.map(|tokens| bench.stream(tokens)).transpose()?;
    Ok(())
}

/// A loaded model with the plan to measure.
struct ModelBench<'a> {
    model: &'a LlamaModel,
    /// The cache policy that a served conversation would have.
    serving: CachePolicy,
    plan: &'a Plan,
}

impl ModelBench<'_> {
    /// Measures prefill and decoding at each context, in turn, so that whatever else the machine does affects all of
    /// them.
    fn speeds(&self, report: &mut Report) -> Result<(), CommandError> {
        let Plan {
            prefill,
            decode,
            repeat,
            answer_tokens,
            ..
        } = self.plan;
        if prefill.is_none() && decode.is_empty() {
            return Ok(());
        }
        let weight_bytes = weight_bytes(self.model);
        let mut prefill = prefill.map(|tokens| Prefill::new(self.ids(tokens)));
        let mut decodes = decode
            .iter()
            .map(|&context| {
                let middle = context + answer_tokens / 2;
                Ok(Decode {
                    tokens: *answer_tokens,
                    read_bytes: weight_bytes + self.tokens_in_view(middle) * cache_bytes_a_token(self.model.config()),
                    ..Decode::new(self.ids(context))
                })
            })
            .collect::<Result<Vec<_>, CommandError>>()?;
        self.warm_up()?;
        let progress = bar(
            (repeat * (decodes.len() + usize::from(prefill.is_some()))) as u64,
            "prefill and decode",
        );
        for _ in 0..*repeat {
            if let Some(prefill) = &mut prefill {
                prefill
                    .ms
                    .push(ms(time_prefill(self.model, self.serving, &prefill.prompt)?));
                progress.inc(1);
            }
            for decode in &mut decodes {
                let all = self.decode(&decode.prompt, self.serving, decode.tokens, LogitsWanted::Last)?;
                decode.token_ms.push(all);
                progress.inc(1);
            }
        }
        progress.finish_and_clear();
        (report.prefill, report.decode) = (prefill, decodes);
        Ok(())
    }

    /// Compares a token that sees `seen` tokens of a stream with recomputing those tokens: what the streaming cache
    /// saves.
    fn recompute(&self, seen: usize) -> Result<Recompute, CommandError> {
        let sink_window = streaming_policy(STREAM_SINKS, seen - STREAM_SINKS, self.model.config().context_tokens)?;
        let stream = self.ids(seen + SPARE_TOKENS);
        let mut result = Recompute {
            seen_tokens: seen,
            streamed_ms: Sample::default(),
            recomputed_ms: Sample::default(),
        };
        self.warm_up()?;
        let progress = bar(self.plan.repeat as u64, "streaming and recomputing");
        for _ in 0..self.plan.repeat {
            let policy = CachePolicy::Streaming(sink_window);
            let streamed = self.decode(&stream, policy, self.plan.answer_tokens, LogitsWanted::Last)?;
            result.streamed_ms.push(streamed);
            let dense = CachePolicy::Dense {
                max_tokens: seen as u64,
            };
            result
                .recomputed_ms
                .push(ms(time_prefill(self.model, dense, &stream[..seen])?));
            progress.inc(1);
        }
        progress.finish_and_clear();
        Ok(result)
    }

    /// Splits a token's time by leaving parts out: without a cache to attend to, and without logits.
    fn token_parts(&self, context: usize) -> Result<TokenParts, CommandError> {
        let (alone, full) = (self.ids(1), self.ids(context));
        let mut result = TokenParts::new(context);
        self.warm_up()?;
        let progress = bar(self.plan.repeat as u64, "parts of a token");
        // A few tokens only, since they fill the cache that is to be empty.
        let tokens = self.plan.answer_tokens.min(32);
        for _ in 0..self.plan.repeat {
            let layers = self.decode(&alone, self.serving, tokens, LogitsWanted::None)?;
            let with_output = self.decode(&alone, self.serving, tokens, LogitsWanted::Last)?;
            let whole = self.decode(&full, self.serving, tokens, LogitsWanted::Last)?;
            result.layers_ms.push(layers);
            result.output_ms.push(with_output - layers);
            result.cache_ms.push(whole - with_output);
            progress.inc(1);
        }
        progress.finish_and_clear();
        Ok(result)
    }

    fn flat_cost(&self, pairs: usize) -> Result<FlatCost, CommandError> {
        let sink_window = streaming_policy(
            STREAM_SINKS,
            self.plan.stream_window,
            self.model.config().context_tokens,
        )?;
        let run = FlatCostRun {
            sink_window,
            far_position: FAR_POSITION,
            tokens_per_round: FLAT_COST_TOKENS,
            rounds: pairs,
        };
        let comparing = bar(pairs as u64, "flat cost");
        let cost = flat_cost(self.model, run, &mut |done| comparing.set_position(done as u64))?;
        comparing.finish_and_clear();
        Ok(FlatCost {
            position: FAR_POSITION,
            window_tokens: self.plan.stream_window,
            full_ms: Sample(cost.full_ms),
            far_ms: Sample(cost.far_ms),
        })
    }

    fn stream(&self, tokens: usize) -> Result<Stream, CommandError> {
        /// Blocks of a stream; the first ten are compared with the last ten.
        const BLOCKS: usize = 100;
        let sink_window = streaming_policy(
            STREAM_SINKS,
            self.plan.stream_window,
            self.model.config().context_tokens,
        )?;
        let run = StreamRun {
            sink_window,
            tokens,
            block_tokens: tokens.div_ceil(BLOCKS),
        };
        let streaming = bar(tokens as u64, "streaming");
        let cost = stream_cost(self.model, run, &mut |done| streaming.set_position(done as u64))?;
        streaming.finish_and_clear();
        Ok(Stream {
            tokens,
            window_tokens: self.plan.stream_window,
            block_ms: Sample(cost.block_ms),
            growth_bytes: cost.growth.map(|growth| growth.growth_bytes()),
        })
    }

    /// Decodes a few tokens, which pay for sleeping threads and pages that were never touched.
    fn warm_up(&self) -> Result<(), CommandError> {
        self.decode(&self.ids(16), self.serving, 16, LogitsWanted::Last)
            .map(drop)
    }

    /// Returns the milliseconds per token.
    fn decode(
        &self,
        prompt: &[u32],
        policy: CachePolicy,
        tokens: usize,
        wanted: LogitsWanted,
    ) -> Result<f64, CommandError> {
        let run = DecodeRun { policy, tokens, wanted };
        Ok(ms(time_decode(self.model, prompt, run)?) / tokens as f64)
    }

    fn ids(&self, count: usize) -> Vec<u32> {
        ids(&self.plan.ids, count, self.model.config().vocab_size)
    }

    /// Returns how many tokens the token after `position` others attends to.
    fn tokens_in_view(&self, position: usize) -> u64 {
        let position = position as u64;
        match self.serving {
            CachePolicy::Streaming(sink_window) => position.min(sink_window.sinks() + sink_window.window()),
            CachePolicy::Dense { .. } => position,
        }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
