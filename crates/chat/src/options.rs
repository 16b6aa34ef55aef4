//! Merges the layers of options: defaults, agent, hello, message.

use agent_store::Agent;
use engine::{ModelInfo, Options};
use protocol::{EffectiveOptions, OptionsPatch, Setting};

use crate::{ChatError, ChatSettings};

/// What a turn runs with: for the engine, and as the log says it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Merged {
    pub engine: Options,
    pub effective: EffectiveOptions,
    /// The seed, when some layer says one.
    pub seed: Option<u64>,
}

/// The options of an agent's front matter.
pub(crate) fn agent_patch(agent: &Agent) -> Result<OptionsPatch, ChatError> {
    let text = serde_json::to_string(&agent.options).expect("a JSON map can be written");
    OptionsPatch::parse(&text).map_err(|source| ChatError::AgentOption {
        agent: agent.id.to_string(),
        source,
    })
}

/// Puts a patch over the defaults. `null` and nothing are the default alike.
pub(crate) fn merge(patch: OptionsPatch, settings: &ChatSettings, model: &ModelInfo) -> Merged {
    let defaults = Options {
        max_new_tokens: settings.max_new_tokens,
        ..Options::default()
    };
    let engine = Options {
        temperature: patch.temperature.unwrap_or(defaults.temperature),
        top_p: patch.top_p.unwrap_or(defaults.top_p),
        top_k: patch.top_k.unwrap_or(defaults.top_k),
        min_p: patch.min_p.unwrap_or(defaults.min_p),
        repeat_penalty: patch.repeat_penalty.unwrap_or(defaults.repeat_penalty),
        max_new_tokens: patch.max_new_tokens.unwrap_or(defaults.max_new_tokens),
        stop: patch.stop.unwrap_or(defaults.stop),
        sink_tokens: value(patch.sink_tokens),
        window_tokens: value(patch.window_tokens),
    };
    let effective = EffectiveOptions {
        temperature: engine.temperature,
        top_p: engine.top_p,
        top_k: engine.top_k,
        min_p: engine.min_p,
        repeat_penalty: engine.repeat_penalty,
        max_new_tokens: engine.max_new_tokens,
        stop: engine.stop.clone(),
        sink_tokens: engine.sink_tokens.unwrap_or_else(|| saturated(model.sink_tokens)),
        window_tokens: engine.window_tokens.unwrap_or_else(|| saturated(model.window_tokens)),
    };
    Merged {
        engine,
        effective,
        seed: value(patch.seed),
    }
}

fn value<T>(setting: Setting<T>) -> Option<T> {
    match setting {
        Setting::Value(value) => Some(value),
        Setting::Absent | Setting::Default => None,
    }
}

fn saturated(tokens: u64) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}
