//! Generation options: those that a client may send ([`OptionsPatch`]) and those of a turn ([`EffectiveOptions`]).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use ts_rs::TS;

use crate::ProtocolError;
use crate::fields::{Field, Fields};
use crate::keys::{self, OPTIONS};
use crate::limits::{MAX_MODEL_BYTES, MAX_NEW_TOKENS, MAX_STOP_STRING_BYTES, MAX_STOP_STRINGS};
use crate::texts;
use crate::whole::{MAX_EXACT, Whole};

/// Highest temperature, above which all tokens are about equally likely.
const MAX_TEMPERATURE: f64 = 10.0;
/// Highest `topK`, above the size of any vocabulary.
const MAX_TOP_K: u32 = 1_000_000;
/// Penalties outside of this range make every logit infinite or zero.
const REPEAT_PENALTY: std::ops::RangeInclusive<f64> = 0.1..=10.0;
/// The largest whole number that every JSON parser keeps exactly.
const MAX_SEED: u64 = MAX_EXACT;
/// The largest context that models are trained for.
const MAX_CACHE_TOKENS: u32 = 131_072;

/// One option in one layer.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Setting<T> {
    /// Not set: the layer below decides.
    #[default]
    Absent,
    /// `null`: the default, whichever values the layers below have.
    Default,
    /// This value, which is in range.
    Value(T),
}

impl<T> Setting<T> {
    /// Returns true if the layer doesn't set the option.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Returns this setting, or `lower` if this one is absent.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        if self.is_absent() { lower } else { self }
    }

    /// Returns the value, or `default` if there is none.
    pub fn unwrap_or(self, default: T) -> T {
        match self {
            Self::Value(value) => value,
            Self::Absent | Self::Default => default,
        }
    }
}

impl<T: Serialize> Serialize for Setting<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Absent | Self::Default => serializer.serialize_none(),
        }
    }
}

/// Options of one layer: an agent's, a socket's or a message's. Every value in it is in range.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema, TS)]
#[schemars(deny_unknown_fields, transform = keys::add_option_spellings)]
#[serde(rename_all = "camelCase")]
pub struct OptionsPatch {
    /// Softmax temperature, 0 to 10; 0 is greedy.
    #[schemars(with = "Option<f32>", range(min = 0, max = 10))]
    #[ts(as = "Option<f32>", optional = nullable)]
    #[serde(skip_serializing_if = "Setting::is_absent")]
    pub temperature: Setting<f32>,
    /// Keeps the smallest set of tokens whose probability reaches this, above 0 and at most 1.
    #[schemars(with = "Option<f32>", range(max = 1), extend("exclusiveMinimum" = 0))]
    #[ts(as = "Option<f32>", optional = nullable)]
    #[serde(skip_serializing_if = "Setting::is_absent")]
    pub top_p: Setting<f32>,
    /// Keeps this many most probable tokens; 0 is off.
    #[schemars(with = "Option<u32>", range(max = MAX_TOP_K))]
    #[ts(as = "Option<u32>", optional = nullable)]
    #[serde(skip_serializing_if = "Setting::is_absent")]
    pub top_k: Setting<u32>,
    /// Drops tokens less probable than this share of the most probable one, 0 and up, below 1.
    #[schemars(with = "Option<f32>", range(min = 0), extend("exclusiveMaximum" = 1))]
    #[ts(as = "Option<f32>", optional = nullable)]
    #[serde(skip_serializing_if = "Setting::is_absent")]
    pub min_p: Setting<f32>,
    /// Divides the logits of tokens seen lately, 0.1 to 10; 1 is off.
    #[schemars(with = "Option<f32>", range(min = 0.1, max = 10))]
    #[ts(as = "Option<f32>", optional = nullable)]
    #[serde(skip_serializing_if = "Setting::is_absent")]
    pub repeat_penalty: Setting<f32>,
    /// Seed of the turn, below 2^53; a random one by default.
    #[schemars(with = "Option<u64>", range(max = MAX_SEED))]
    #[ts(as = "Option<u64>", optional = nullable)]
    #[serde(skip_serializing_if = "Setting::is_absent")]
    pub seed: Setting<u64>,
    /// The answer ends after this many tokens, 1 to 8,192.
    #[schemars(with = "Option<u32>", range(min = 1, max = MAX_NEW_TOKENS))]
    #[ts(as = "Option<u32>", optional = nullable)]
    #[serde(skip_serializing_if = "Setting::is_absent")]
    pub max_new_tokens: Setting<u32>,
    /// The answer ends before any of these; at most 16 of at most 256 bytes, none empty.
    #[schemars(with = "Option<Vec<texts::StopString>>", length(max = MAX_STOP_STRINGS))]
    #[ts(as = "Option<Vec<String>>", optional = nullable)]
    #[serde(skip_serializing_if = "Setting::is_absent")]
    pub stop: Setting<Vec<String>>,
    /// Attention sinks at the least, at most 131,072.
    #[schemars(with = "Option<u32>", range(max = MAX_CACHE_TOKENS))]
    #[ts(as = "Option<u32>", optional = nullable)]
    #[serde(skip_serializing_if = "Setting::is_absent")]
    pub sink_tokens: Setting<u32>,
    /// Tokens of the rolling window, 1 to 131,072.
    #[schemars(with = "Option<u32>", range(min = 1, max = MAX_CACHE_TOKENS))]
    #[ts(as = "Option<u32>", optional = nullable)]
    #[serde(skip_serializing_if = "Setting::is_absent")]
    pub window_tokens: Setting<u32>,
    /// The model that answers, one of those that the server allows.
    #[schemars(with = "Option<texts::ModelName>")]
    #[ts(as = "Option<String>", optional = nullable)]
    #[serde(skip_serializing_if = "Setting::is_absent")]
    pub model: Setting<String>,
}

/// The options of a turn; its seed is a field of its own in the `user` event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveOptions {
    /// As in [`OptionsPatch`].
    pub temperature: f32,
    /// As in [`OptionsPatch`]; 1 is off.
    pub top_p: f32,
    /// As in [`OptionsPatch`].
    pub top_k: u32,
    /// As in [`OptionsPatch`].
    pub min_p: f32,
    /// As in [`OptionsPatch`].
    pub repeat_penalty: f32,
    /// As in [`OptionsPatch`].
    pub max_new_tokens: u32,
    /// As in [`OptionsPatch`].
    pub stop: Vec<String>,
    /// Requested number of attention sinks; a longer system part has precedence.
    pub sink_tokens: u32,
    /// Requested window; `started` names the one in force.
    pub window_tokens: u32,
    /// Requested model; `started` names the one that answers. Empty in logs from before there was a choice.
    #[serde(default)]
    pub model: String,
}

impl OptionsPatch {
    /// Parses an options object, in either spelling.
    ///
    /// # Errors
    /// [`ProtocolError`] naming the key: unknown, given twice, of the wrong type, or out of range.
    pub fn parse(text: &str) -> Result<Self, ProtocolError> {
        Self::from_fields(&Fields::parse(text, &OPTIONS)?)
    }

    /// Overrides the options of the layer below by these, key by key.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        Self {
            temperature: self.temperature.over(lower.temperature),
            top_p: self.top_p.over(lower.top_p),
            top_k: self.top_k.over(lower.top_k),
            min_p: self.min_p.over(lower.min_p),
            repeat_penalty: self.repeat_penalty.over(lower.repeat_penalty),
            seed: self.seed.over(lower.seed),
            max_new_tokens: self.max_new_tokens.over(lower.max_new_tokens),
            stop: self.stop.over(lower.stop),
            sink_tokens: self.sink_tokens.over(lower.sink_tokens),
            window_tokens: self.window_tokens.over(lower.window_tokens),
            model: self.model.over(lower.model),
        }
    }

    pub(crate) fn from_fields(fields: &Fields<'_>) -> Result<Self, ProtocolError> {
        let temperature = |value| (0.0..=MAX_TEMPERATURE).contains(&value);
        let top_p = |value| value > 0.0 && value <= 1.0;
        let min_p = |value| (0.0..1.0).contains(&value);
        let penalty = |value| REPEAT_PENALTY.contains(&value);
        Ok(Self {
            temperature: real(fields, "temperature", "a number from 0 to 10", temperature)?,
            top_p: real(fields, "topP", "a number above 0 and at most 1", top_p)?,
            top_k: whole(fields, "topK", 0..=MAX_TOP_K)?,
            min_p: real(fields, "minP", "a number from 0 to below 1", min_p)?,
            repeat_penalty: real(fields, "repeatPenalty", "a number from 0.1 to 10", penalty)?,
            seed: seed(fields)?,
            max_new_tokens: whole(fields, "maxNewTokens", 1..=MAX_NEW_TOKENS)?,
            stop: setting(fields, "stop", read_stop)?,
            sink_tokens: whole(fields, "sinkTokens", 0..=MAX_CACHE_TOKENS)?,
            window_tokens: whole(fields, "windowTokens", 1..=MAX_CACHE_TOKENS)?,
            model: setting(fields, "model", read_model)?,
        })
    }
}

fn setting<T>(
    fields: &Fields<'_>,
    name: &str,
    read: impl Fn(&Field<'_>) -> Result<T, ProtocolError>,
) -> Result<Setting<T>, ProtocolError> {
    match fields.get_nullable(name) {
        None => Ok(Setting::Absent),
        Some(field) if field.raw == "null" => Ok(Setting::Default),
        Some(field) => read(&field).map(Setting::Value),
    }
}

fn real(
    fields: &Fields<'_>,
    name: &str,
    expected: &str,
    in_range: impl Fn(f64) -> bool,
) -> Result<Setting<f32>, ProtocolError> {
    setting(fields, name, |field| {
        // The range applies to the number as it was written: 1e-300 is above 0, though the nearest `f32` isn't.
        let value: f64 = field.read(expected)?;
        if !in_range(value) {
            return Err(field.wrong(expected));
        }
        let near = value as f32;
        let mut candidates = [near, near.next_up(), near.next_down()].into_iter();
        let nearest = candidates.find(|near| in_range(f64::from(*near)));
        nearest.ok_or_else(|| field.wrong(expected))
    })
}

fn whole(fields: &Fields<'_>, name: &str, range: std::ops::RangeInclusive<u32>) -> Result<Setting<u32>, ProtocolError> {
    let expected = format!("a whole number from {} to {}", range.start(), range.end());
    setting(fields, name, |field| {
        let Whole(value) = field.read(&expected)?;
        let value = u32::try_from(value).ok().filter(|value| range.contains(value));
        value.ok_or_else(|| field.wrong(&expected))
    })
}

fn seed(fields: &Fields<'_>) -> Result<Setting<u64>, ProtocolError> {
    let expected = format!("a whole number from 0 to {MAX_SEED}");
    setting(fields, "seed", |field| {
        let Whole(value) = field.read(&expected)?;
        if value <= MAX_SEED {
            Ok(value)
        } else {
            Err(field.wrong(&expected))
        }
    })
}

fn read_model(field: &Field<'_>) -> Result<String, ProtocolError> {
    let expected = format!("a model's name of 1 to {MAX_MODEL_BYTES} bytes");
    let name: String = field.read(&expected)?;
    let fits = (1..=MAX_MODEL_BYTES).contains(&name.len());
    if fits && name.trim() == name && !name.contains(char::is_control) {
        Ok(name)
    } else {
        Err(field.wrong(&expected))
    }
}

fn read_stop(field: &Field<'_>) -> Result<Vec<String>, ProtocolError> {
    let expected = format!("a list of at most {MAX_STOP_STRINGS} strings of 1 to {MAX_STOP_STRING_BYTES} bytes");
    // Room for the longest list with each byte escaped, and for white space; a larger one isn't parsed.
    const LONGEST_LIST_BYTES: usize = 64 << 10;
    if field.raw.len() > LONGEST_LIST_BYTES {
        return Err(field.wrong(&expected));
    }
    let strings: Vec<String> = field.read(&expected)?;
    let too_many = strings.len() > MAX_STOP_STRINGS as usize;
    if too_many
        || strings
            .iter()
            .any(|stop| stop.is_empty() || stop.len() > MAX_STOP_STRING_BYTES as usize)
    {
        return Err(field.wrong(&expected));
    }
    Ok(strings)
}
