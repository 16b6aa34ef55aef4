//! `sidecar generate`: token ids in, token ids and their text out; no template, no conversation.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use engine_burn::eval::{GenerateRun, generate_ids};
use engine_burn::{CachePolicy, LlamaModel};
use serde_json::json;

use super::eval::PolicyArguments;
use crate::error::CommandError;
use crate::local_engine;
use crate::progress::{bar, spinner};
use crate::settings::Settings;

/// Largest file of ids, in bytes: a million ids with room to spare.
const MAX_IDS_BYTES: u64 = 16 << 20;

/// The arguments of `generate`.
#[derive(Debug, Args)]
pub(super) struct GenerateArguments {
    /// GGUF file, or Hugging Face folder
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// JSON array of token ids
    #[arg(long, value_name = "FILE")]
    ids: PathBuf,
    /// Ends after this many tokens
    #[arg(long, value_name = "N", default_value_t = 128)]
    max_new_tokens: u32,
    #[command(flatten)]
    policy: PolicyArguments,
    /// 0 is greedy
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    temperature: f32,
    /// Of the random numbers, where the temperature is not 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Prints {"tokens":[…],"text":"…"} instead of the text alone
    #[arg(long)]
    json: bool,
}

/// Runs `generate`.
pub(super) fn generate(settings: &Settings, arguments: &GenerateArguments) -> Result<(), CommandError> {
    if !arguments.temperature.is_finite() || arguments.temperature < 0.0 {
        return Err(format!("--temperature {} is not a number from 0 on", arguments.temperature).into());
    }
    let ids = read_ids(&arguments.ids)?;
    let loading = spinner("loading the model");
    let model = local_engine::load(&arguments.model, settings)?;
    loading.finish_and_clear();
    let policy = arguments.policy.policy(model.config().context_tokens);
    let tokens = run(&model, &ids, policy, arguments)?;
    let text = model.files().tokenizer.decode(&tokens);
    if arguments.json {
        println!("{}", json!({ "tokens": tokens, "text": text }));
    } else {
        println!("{text}");
    }
    Ok(())
}

fn run(
    model: &LlamaModel,
    ids: &[u32],
    policy: CachePolicy,
    arguments: &GenerateArguments,
) -> Result<Vec<u32>, CommandError> {
    let options = engine::Options {
        temperature: arguments.temperature,
        top_p: 1.0,
        max_new_tokens: arguments.max_new_tokens,
        ..engine::Options::default()
    };
    let generating = bar(u64::from(arguments.max_new_tokens), "generating");
    let run = GenerateRun {
        policy,
        options,
        seed: arguments.seed,
    };
    let tokens = generate_ids(model, ids, &run, &mut |_| generating.inc(1))?;
    generating.finish_and_clear();
    Ok(tokens)
}

fn read_ids(path: &Path) -> Result<Vec<u32>, CommandError> {
    let refused = |reason: String| format!("cannot read token ids from {}: {reason}", path.display());
    let length = fs::metadata(path).map_err(|error| refused(error.to_string()))?.len();
    if length > MAX_IDS_BYTES {
        return Err(refused(format!("{length} bytes are more than {MAX_IDS_BYTES}")).into());
    }
    let text = fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    Ok(serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?)
}
