//! The report for programs. Keys include their units; a part that wasn't measured has no key.

use serde_json::{Map, Value, json};

use super::super::bandwidth::Bandwidth;
use super::super::sample::Sample;
use super::{Concurrency, Decode, FirstToken, FlatCost, Load, Prefill, Recompute, Report, Stream, TokenParts};

impl Report {
    /// Writes one object; with `ids`, every prompt's token ids too.
    pub(in super::super) fn json(&self, ids: bool) -> Value {
        let mut object = Map::new();
        object.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
        object.insert(
            "model".to_owned(),
            json!({ "name": self.model, "bytes": self.model_bytes }),
        );
        object.insert("device".to_owned(), json!(self.device));
        object.insert("weights".to_owned(), json!(self.weights));
        object.insert("threads".to_owned(), json!(self.threads));
        let view = self
            .view
            .map(|(sinks, window)| json!({ "sinks": sinks, "window": window }));
        object.insert("view".to_owned(), json!(view));
        let decode = self
            .decode
            .iter()
            .map(|decode| with_prompt(self.decode_json(decode), ids, &decode.prompt));
        let conversations = self.conversations.iter().map(|concurrency| concurrency.json(ids));
        let parts = [
            ("load", self.load.as_ref().map(Load::json)),
            ("memory", self.bandwidth.as_ref().map(bandwidth_json)),
            (
                "prefill",
                self.prefill
                    .as_ref()
                    .map(|prefill| with_prompt(prefill.json(), ids, &prefill.prompt)),
            ),
            ("decode", list(decode.collect())),
            ("conversations", list(conversations.collect())),
            ("firstToken", self.first_token.as_ref().map(FirstToken::json)),
            ("recompute", self.recompute.as_ref().map(Recompute::json)),
            ("tokenParts", self.token_parts.as_ref().map(TokenParts::json)),
            ("flatCost", self.flat_cost.as_ref().map(FlatCost::json)),
            ("stream", self.stream.as_ref().map(Stream::json)),
        ];
        let measured = parts
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        object.extend(measured);
        Value::Object(object)
    }

    fn decode_json(&self, decode: &Decode) -> Value {
        json!({
            "context": decode.prompt.len(),
            "tokens": decode.tokens,
            "tokenMs": sample(&decode.token_ms),
            "tokensPerSecond": decode.speeds().median(),
            "readBytes": decode.read_bytes,
            "shareOfMemoryLimit": self.share_of_limit(decode),
        })
    }
}

impl Load {
    fn json(&self) -> Value {
        json!({ "readyMs": self.ready_ms, "loadedBytes": self.loaded_bytes, "servingBytes": self.serving_bytes })
    }
}

impl Prefill {
    fn json(&self) -> Value {
        json!({
            "tokens": self.prompt.len(),
            "ms": sample(&self.ms),
            "tokensPerSecond": self.speeds().median(),
        })
    }
}

impl Concurrency {
    fn json(&self, ids: bool) -> Value {
        let mut value = json!({
            "count": self.count,
            "promptTokens": self.prompts.iter().map(Vec::len).sum::<usize>(),
            "answerTokens": self.answer_tokens,
            "seconds": sample(&self.seconds),
            "tokensPerSecond": self.speeds().median(),
        });
        if ids {
            value["prompts"] = json!(self.prompts);
        }
        value
    }
}

impl FirstToken {
    fn json(&self) -> Value {
        json!({
            "newMs": sample(&self.new_ms),
            "secondTurnMs": sample(&self.second_ms),
            "lateTurn": self.late_turn,
            "lateTurnMs": sample(&self.late_ms),
            "lateOverSecond": sample(&self.late_ms.over(&self.second_ms)),
        })
    }
}

impl Recompute {
    fn json(&self) -> Value {
        json!({
            "seenTokens": self.seen_tokens,
            "streamedMs": sample(&self.streamed_ms),
            "recomputedMs": sample(&self.recomputed_ms),
            "recomputedOverStreamed": sample(&self.ratios()),
        })
    }
}

impl TokenParts {
    fn json(&self) -> Value {
        let [layers, output, cache] = self.named().map(|(_, part)| sample(part));
        json!({ "context": self.context, "layersMs": layers, "outputMs": output, "cacheMs": cache })
    }
}

impl FlatCost {
    fn json(&self) -> Value {
        json!({
            "position": self.position,
            "windowTokens": self.window_tokens,
            "youngMs": sample(&self.full_ms),
            "farMs": sample(&self.far_ms),
            "farOverYoung": sample(&self.ratios()),
            "ratioOfMedians": self.far_ms.median() / self.full_ms.median(),
        })
    }
}

impl Stream {
    fn json(&self) -> Value {
        json!({
            "tokens": self.tokens,
            "windowTokens": self.window_tokens,
            "tokenMs": sample(&self.block_ms),
            "lastTenthOverFirst": self.last_over_first(),
            "growthBytes": self.growth_bytes,
        })
    }
}

fn bandwidth_json(bandwidth: &Bandwidth) -> Value {
    json!({
        "threads": bandwidth.threads,
        "bytes": bandwidth.bytes,
        "bytesPerSecond": bandwidth.best(),
        "goes": bandwidth.runs.0,
    })
}

/// Writes the median, and every run in its order.
fn sample(sample: &Sample) -> Value {
    json!({ "median": sample.median(), "goes": sample.0 })
}

fn with_prompt(mut value: Value, ids: bool, prompt: &[u32]) -> Value {
    if ids {
        value["prompt"] = json!(prompt);
    }
    value
}

fn list(values: Vec<Value>) -> Option<Value> {
    (!values.is_empty()).then_some(Value::Array(values))
}
