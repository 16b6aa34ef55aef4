//! Merges the layers of options (defaults, agent, hello, message) and chooses the models.
//!
//! Pure: agents and commands go in, [`MergedOptions`] and model names come out.

use agent_store::Agent;
use engine::{ModelInfo, Options};
use protocol::{EffectiveOptions, OptionsPatch, Setting, ToolDefinition};

use crate::{ChatError, ChatSettings, Models};

/// A turn's options, for the engine and for the log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MergedOptions {
    pub engine: Options,
    pub effective: EffectiveOptions,
    /// The seed, if some layer sets one.
    pub seed: Option<u64>,
}

/// Parses the options of an agent's front matter.
pub(crate) fn agent_patch(agent: &Agent) -> Result<OptionsPatch, ChatError> {
    let text = serde_json::to_string(&agent.options).expect("a JSON map can be written");
    OptionsPatch::parse(&text).map_err(|source| ChatError::AgentOption {
        agent: agent.id.to_string(),
        source,
    })
}

/// Parses the tools of an agent's front matter.
pub(crate) fn agent_tools(agent: &Agent) -> Result<Vec<ToolDefinition>, ChatError> {
    let text = serde_json::to_string(&agent.tools).expect("JSON values can be written");
    ToolDefinition::parse_list("tools", &text).map_err(|source| ChatError::AgentOption {
        agent: agent.id.to_string(),
        source,
    })
}

/// Returns the models that may answer, in order: the one that hello or message request, which must be allowed or the
/// agent's own; else the agent's; else the default.
pub(crate) fn candidates(
    requested: &Setting<String>,
    agent: &Agent,
    agent_patch: &OptionsPatch,
    models: &Models,
) -> Result<Vec<String>, ChatError> {
    let mut own: Vec<String> = agent.models.iter().map(|model| models.full_name(model)).collect();
    if own.is_empty()
        && let Setting::Value(model) = &agent_patch.model
    {
        own.push(models.full_name(model));
    }
    let default = || vec![models.default_model().to_owned()];
    match requested {
        Setting::Absent if own.is_empty() => Ok(default()),
        Setting::Absent => Ok(own),
        Setting::Default => Ok(default()),
        Setting::Value(model) => {
            let full = models.full_name(model);
            if models.allows(&full) || own.contains(&full) {
                return Ok(vec![full]);
            }
            let mut allowed = models.allowed().to_vec();
            allowed.extend(own);
            Err(ChatError::ModelNotAllowed {
                model: model.clone(),
                allowed: allowed.join(", "),
            })
        }
    }
}

/// Applies a patch to the defaults; `null` and an absent key both mean the default. `model` is the first that may
/// answer.
pub(crate) fn merge(
    patch: OptionsPatch,
    settings: &ChatSettings,
    model: &str,
    info: Option<&ModelInfo>,
) -> MergedOptions {
    let (sinks, window) = info.map_or((0, 0), |info| (info.sink_tokens, info.window_tokens));
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
        sink_tokens: engine.sink_tokens.unwrap_or_else(|| saturated(sinks)),
        window_tokens: engine.window_tokens.unwrap_or_else(|| saturated(window)),
        model: model.to_owned(),
    };
    MergedOptions {
        engine,
        effective,
        seed: value(patch.seed),
    }
}

/// Returns the engine's options of a stored turn, to resume it.
pub(crate) fn of_effective(effective: EffectiveOptions) -> Options {
    Options {
        temperature: effective.temperature,
        top_p: effective.top_p,
        top_k: effective.top_k,
        min_p: effective.min_p,
        repeat_penalty: effective.repeat_penalty,
        max_new_tokens: effective.max_new_tokens,
        stop: effective.stop,
        sink_tokens: Some(effective.sink_tokens),
        window_tokens: Some(effective.window_tokens),
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
