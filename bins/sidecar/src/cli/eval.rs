//! `sidecar eval`: a model's quality and cost, measured by `engine_burn::eval` and printed here.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use engine_burn::eval::{FlatCostRun, PerplexityRun, flat_cost, memory_growth, perplexity};
use engine_burn::{CachePolicy, LlamaModel, SinkWindow};
use serde_json::json;

use crate::error::CommandError;
use crate::local_engine;
use crate::progress::{bar, spinner};
use crate::settings::Settings;

/// What to measure.
#[derive(Debug, Subcommand)]
pub(super) enum EvalCommand {
    /// How well the model predicts a text
    Perplexity(PerplexityArguments),
    /// What a token costs far along an endless stream, compared with one whose window is just full
    FlatCost(FlatCostArguments),
    /// What a long stream adds to the process's memory
    Memory(MemoryArguments),
}

/// What stays in the model's view.
#[derive(Debug, Args)]
pub(super) struct PolicyArguments {
    /// Attention sinks
    #[arg(long, value_name = "S", default_value_t = 4)]
    sinks: u64,
    /// Tokens of the rolling window
    #[arg(long, value_name = "W", default_value_t = 2_048)]
    window: u64,
    /// No sinks and no window: everything stays, up to the trained context
    #[arg(long)]
    dense: bool,
}

impl PolicyArguments {
    pub(super) fn policy(&self, context_tokens: usize) -> CachePolicy {
        if self.dense {
            return CachePolicy::Dense {
                max_tokens: context_tokens as u64,
            };
        }
        CachePolicy::Streaming(self.sink_window())
    }

    fn sink_window(&self) -> SinkWindow {
        SinkWindow::new(self.sinks, self.window)
    }
}

/// The arguments of `eval perplexity`.
#[derive(Debug, Args)]
pub(super) struct PerplexityArguments {
    /// GGUF file, or Hugging Face folder
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Token ids of the text, u16 little endian
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    /// Tokens to predict
    #[arg(long, value_name = "N")]
    count: usize,
    #[command(flatten)]
    policy: PolicyArguments,
    /// Tokens that go through the model at once
    #[arg(long, value_name = "C", default_value_t = 64)]
    chunk: usize,
    /// Writes the NLL of each next token in nats, f32 little endian
    #[arg(long, value_name = "FILE")]
    nll: Option<PathBuf>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// The arguments of `eval flat-cost`.
#[derive(Debug, Args)]
pub(super) struct FlatCostArguments {
    /// GGUF file, or Hugging Face folder
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    #[command(flatten)]
    policy: PolicyArguments,
    /// Where the far stream begins
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    far_position: u64,
    /// Tokens that one stream decodes before the other has its turn
    #[arg(long, value_name = "N", default_value_t = 250)]
    tokens_a_go: usize,
    /// Goes of each stream
    #[arg(long, value_name = "N", default_value_t = 20)]
    pairs: usize,
}

/// The arguments of `eval memory`.
#[derive(Debug, Args)]
pub(super) struct MemoryArguments {
    /// GGUF file, or Hugging Face folder
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    #[command(flatten)]
    policy: PolicyArguments,
    /// Tokens to generate
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    tokens: usize,
}

/// Runs `eval`.
pub(super) fn eval(settings: &Settings, command: EvalCommand) -> Result<(), CommandError> {
    match command {
        EvalCommand::Perplexity(arguments) => eval_perplexity(settings, &arguments),
        EvalCommand::FlatCost(arguments) => eval_flat_cost(settings, &arguments),
        EvalCommand::Memory(arguments) => eval_memory(settings, &arguments),
    }
}

fn eval_perplexity(settings: &Settings, arguments: &PerplexityArguments) -> Result<(), CommandError> {
    let ids = read_u16(&arguments.tokens, arguments.count.saturating_add(1))?;
    let model = load(&arguments.model, settings)?;
    let policy = arguments.policy.policy(model.config().context_tokens);
    let run = PerplexityRun {
        policy,
        count: arguments.count,
        chunk: arguments.chunk,
    };
    let predicting = bar(arguments.count as u64, "predicting");
    let nlls = perplexity(&model, &ids, run, &mut |nlls| {
        predicting.set_position(nlls.nats.len() as u64);
        predicting.set_message(format!("perplexity {:.3}", nlls.perplexity()));
    })?;
    predicting.finish_and_clear();
    if let Some(path) = &arguments.nll {
        let bytes: Vec<u8> = nlls.nats.iter().flat_map(|nat| nat.to_le_bytes()).collect();
        let written = fs::File::create(path).and_then(|mut file| file.write_all(&bytes));
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    if arguments.json {
        println!(
            "{}",
            json!({ "count": nlls.nats.len(), "perplexity": nlls.perplexity(), "chunk": arguments.chunk })
        );
    } else {
        println!("perplexity {:.4} over {} tokens", nlls.perplexity(), nlls.nats.len());
    }
    Ok(())
}

fn eval_flat_cost(settings: &Settings, arguments: &FlatCostArguments) -> Result<(), CommandError> {
    let model = load(&arguments.model, settings)?;
    let run = FlatCostRun {
        sink_window: arguments.policy.sink_window(),
        far_position: arguments.far_position,
        tokens_per_round: arguments.tokens_a_go,
        rounds: arguments.pairs,
    };
    let comparing = bar(arguments.pairs as u64, "comparing");
    let cost = flat_cost(&model, run, &mut |pairs| comparing.set_position(pairs as u64))?;
    comparing.finish_and_clear();
    println!(
        "{}",
        json!({ "ratioOfMedians": cost.ratio(), "fullMs": cost.full_ms, "farMs": cost.far_ms })
    );
    Ok(())
}

fn eval_memory(settings: &Settings, arguments: &MemoryArguments) -> Result<(), CommandError> {
    let model = load(&arguments.model, settings)?;
    let sink_window = arguments.policy.sink_window();
    let generating = bar(arguments.tokens as u64, "generating");
    let growth = memory_growth(&model, sink_window, arguments.tokens, &mut |done| {
        generating.set_position(done as u64)
    })?;
    generating.finish_and_clear();
    let growth = growth.ok_or("this system does not say how much memory a process has")?;
    let (before, after) = (growth.before_bytes, growth.after_bytes);
    println!(
        "{}",
        json!({ "tokens": arguments.tokens, "beforeBytes": before, "afterBytes": after, "growthBytes": growth.growth_bytes() })
    );
    Ok(())
}

fn load(path: &Path, settings: &Settings) -> Result<LlamaModel, CommandError> {
    let loading = spinner("loading the model");
    let model = local_engine::load(path, settings)?;
    loading.finish_and_clear();
    Ok(model)
}

/// Reads the first `count` ids of a file, or all if there are fewer.
fn read_u16(path: &Path, count: usize) -> Result<Vec<u32>, CommandError> {
    let refused = |error: std::io::Error| format!("cannot read token ids from {}: {error}", path.display());
    let mut bytes = Vec::new();
    let wanted = (count as u64).saturating_mul(2);
    fs::File::open(path)
        .map_err(refused)?
        .take(wanted)
        .read_to_end(&mut bytes)
        .map_err(refused)?;
    Ok(bytes
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_le_bytes([pair[0], pair[1]])))
        .collect())
}
