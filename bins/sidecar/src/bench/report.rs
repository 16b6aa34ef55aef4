//! What was measured, and its form for machines; `table` and `svg` have those for people.

mod json;

use std::fs;
use std::path::Path;

use super::bandwidth::Bandwidth;
use super::sample::Sample;
use super::table::{Row, table};
use crate::settings::Settings;

/// Everything that was measured; what was left out is `None` or empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Report {
    /// The model's file or folder, without what lies above.
    pub(super) model: String,
    /// Of the file; `None` for a folder.
    pub(super) model_bytes: Option<u64>,
    /// Where the model ran; empty where only a whole engine was measured, which doesn't say.
    pub(super) device: String,
    /// What the model's matrices are in memory; empty as above.
    pub(super) weights: String,
    /// Threads asked for; `None`: one for each core.
    pub(super) threads: Option<usize>,
    /// Sinks and window of a conversation; `None` for a dense cache.
    pub(super) view: Option<(usize, usize)>,
    pub(super) load: Option<Load>,
    pub(super) bandwidth: Option<Bandwidth>,
    pub(super) prefill: Option<Prefill>,
    pub(super) decode: Vec<Decode>,
    pub(super) conversations: Vec<Together>,
    pub(super) first_token: Option<FirstToken>,
    pub(super) recompute: Option<Recompute>,
    pub(super) token_parts: Option<TokenParts>,
    pub(super) flat_cost: Option<FlatCost>,
    pub(super) stream: Option<Stream>,
}

/// A start. Memory is `None` where the system doesn't say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Load {
    pub(super) ready_ms: f64,
    /// The process's memory when the model answers.
    pub(super) loaded_bytes: Option<u64>,
    /// The same with one conversation that fills its window.
    pub(super) serving_bytes: Option<u64>,
}

/// The reading of a prompt.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prefill {
    pub(super) prompt: Vec<u32>,
    /// To the first logits.
    pub(super) ms: Sample,
}

/// Tokens after a prompt.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Decode {
    pub(super) prompt: Vec<u32>,
    /// Over how many the mean was taken.
    pub(super) tokens: usize,
    /// Mean of a token.
    pub(super) token_ms: Sample,
    /// Weights and cache that the middle one of the tokens reads at the least.
    pub(super) read_bytes: u64,
}

/// Conversations at once.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Together {
    pub(super) count: usize,
    pub(super) prompts: Vec<Vec<u32>>,
    /// Of all answers.
    pub(super) answer_tokens: u64,
    /// From the requests to the last token.
    pub(super) seconds: Sample,
}

/// From a request to its first token.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct FirstToken {
    /// Of a new conversation.
    pub(super) new_ms: Sample,
    /// Of a second turn.
    pub(super) second_ms: Sample,
    pub(super) late_turn: u64,
    /// Of that turn.
    pub(super) late_ms: Sample,
}

/// A stream against reading anew all that it sees.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recompute {
    pub(super) seen_tokens: usize,
    /// A token of the stream.
    pub(super) streamed_ms: Sample,
    /// Reading those tokens.
    pub(super) recomputed_ms: Sample,
}

/// A token's time, taken apart by differences.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TokenParts {
    pub(super) context: usize,
    /// Without logits, with next to nothing in the cache.
    pub(super) layers_ms: Sample,
    /// What logits, and choosing a token, add.
    pub(super) output_ms: Sample,
    /// What the context adds.
    pub(super) cache_ms: Sample,
}

/// Far along a stream against a window that is just full.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FlatCost {
    pub(super) position: u64,
    pub(super) window_tokens: usize,
    pub(super) full_ms: Sample,
    pub(super) far_ms: Sample,
}

/// A long stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stream {
    pub(super) tokens: usize,
    pub(super) window_tokens: usize,
    /// A token, one a block.
    pub(super) block_ms: Sample,
    /// What it added to the process's memory.
    pub(super) growth_bytes: Option<i64>,
}

impl Report {
    /// A report of nothing yet.
    pub(super) fn new(path: &Path, settings: &Settings) -> Self {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let file = fs::metadata(path).ok().filter(fs::Metadata::is_file);
        Self {
            model: name.to_string_lossy().into_owned(),
            model_bytes: file.map(|file| file.len()),
            threads: settings.threads,
            view: settings
                .streaming
                .then_some((settings.start_size, settings.recent_size)),
            ..Self::default()
        }
    }

    /// The table for people.
    pub(super) fn table(&self) -> String {
        let mut heading = vec![self.model.clone()];
        heading.extend(self.model_bytes.map(|bytes| format!("{:.0} MB", bytes as f64 / 1e6)));
        if !self.weights.is_empty() {
            heading.push(format!("as {}", self.weights));
        }
        if !self.device.is_empty() {
            heading.push(self.device.clone());
        }
        heading.push(match self.view {
            Some((sinks, window)) => format!("{sinks} + {window} tokens in view"),
            None => "dense cache".to_owned(),
        });
        table(&heading.join(", "), &self.rows())
    }

    /// How much of the memory's bandwidth a token uses, 1 for all of it: what it reads at the least over what could be read in
    /// its time.
    pub(super) fn share_of_limit(&self, decode: &Decode) -> Option<f64> {
        let bandwidth = self.bandwidth.as_ref()?.best();
        Some(decode.read_bytes as f64 / (bandwidth * decode.token_ms.median() / 1e3))
    }

    /// A row for each number.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        if let Some(load) = &self.load {
            rows.extend(load.rows());
        }
        if let Some(Bandwidth { threads, bytes, goes }) = &self.bandwidth {
            let what = format!("memory, {threads} threads over {} MiB", bytes >> 20);
            let speeds = goes.map(|bytes| bytes / 1e9);
            rows.push(Row::of(what, &speeds, "GB/s").with_result(format!("{:.1} GB/s", speeds.max())));
        }
        if let Some(prefill) = &self.prefill {
            let what = format!("prefill of {} tokens", prefill.prompt.len());
            rows.push(Row::of(what, &prefill.speeds(), "tok/s"));
        }
        for decode in &self.decode {
            let row = Row::of(format!("decode at {}", decode.prompt.len()), &decode.speeds(), "tok/s");
            let share = self.share_of_limit(decode);
            rows.push(row.with_note(share.map(|share| format!("{:.0} % of the memory limit", share * 100.0))));
        }
        for together in &self.conversations {
            rows.push(together.row());
        }
        rows.extend(self.first_token.iter().flat_map(FirstToken::rows));
        rows.extend(self.recompute.iter().flat_map(Recompute::rows));
        rows.extend(self.token_parts.iter().flat_map(TokenParts::rows));
        rows.extend(self.flat_cost.iter().map(FlatCost::row));
        rows.extend(self.stream.iter().flat_map(Stream::rows));
        rows
    }
}

impl Load {
    fn rows(&self) -> Vec<Row> {
        let memory = |what: &str, bytes: Option<u64>| Some(Row::new(what, mebibytes(bytes? as f64)));
        let mut rows = vec![Row::new("ready after", format!("{:.0} ms", self.ready_ms))];
        rows.extend(memory("memory, loaded", self.loaded_bytes));
        rows.extend(memory("memory, one conversation", self.serving_bytes));
        rows
    }
}

impl Prefill {
    pub(super) fn new(prompt: Vec<u32>) -> Self {
        Self {
            prompt,
            ms: Sample::default(),
        }
    }

    /// Tokens a second.
    pub(super) fn speeds(&self) -> Sample {
        self.ms.map(|ms| self.prompt.len() as f64 * 1e3 / ms)
    }
}

impl Decode {
    pub(super) fn new(prompt: Vec<u32>) -> Self {
        Self {
            prompt,
            ..Self::default()
        }
    }

    /// Tokens a second.
    pub(super) fn speeds(&self) -> Sample {
        self.token_ms.map(|ms| 1e3 / ms)
    }
}

impl Together {
    pub(super) fn new(count: usize) -> Self {
        Self {
            count,
            prompts: Vec::new(),
            answer_tokens: 0,
            seconds: Sample::default(),
        }
    }

    /// Tokens of all answers a second.
    pub(super) fn speeds(&self) -> Sample {
        self.seconds.map(|seconds| self.answer_tokens as f64 / seconds)
    }

    fn row(&self) -> Row {
        let conversations = if self.count == 1 {
            "conversation"
        } else {
            "conversations"
        };
        let row = Row::of(
            format!("{} {conversations}", self.count),
            &self.speeds(),
            "tok/s in all",
        );
        let prompt_tokens = self.prompts.first().map_or(0, Vec::len);
        let answer_tokens = self.answer_tokens / self.count.max(1) as u64;
        row.with_note(Some(format!("{prompt_tokens} in, {answer_tokens} out")))
    }
}

impl FirstToken {
    fn rows(&self) -> Vec<Row> {
        let late = self.late_turn;
        let ratio = self.late_ms.over(&self.second_ms);
        vec![
            Row::of("first token, new conversation".to_owned(), &self.new_ms, "ms"),
            Row::of("first token, turn 2".to_owned(), &self.second_ms, "ms"),
            Row::of(format!("first token, turn {late}"), &self.late_ms, "ms"),
            Row::of(format!("turn {late} against turn 2"), &ratio, "×"),
        ]
    }
}

impl Recompute {
    /// How many times dearer recomputing is.
    pub(super) fn ratios(&self) -> Sample {
        self.recomputed_ms.over(&self.streamed_ms)
    }

    fn rows(&self) -> Vec<Row> {
        let seen = self.seen_tokens;
        vec![
            Row::of(format!("a streamed token that sees {seen}"), &self.streamed_ms, "ms"),
            Row::of(format!("reading {seen} anew"), &self.recomputed_ms, "ms"),
            Row::of("recomputing against streaming".to_owned(), &self.ratios(), "×"),
        ]
    }
}

impl TokenParts {
    pub(super) fn new(context: usize) -> Self {
        Self {
            context,
            ..Self::default()
        }
    }

    /// The parts by name.
    pub(super) fn named(&self) -> [(&'static str, &Sample); 3] {
        [
            ("layers", &self.layers_ms),
            ("output", &self.output_ms),
            ("cache", &self.cache_ms),
        ]
    }

    fn rows(&self) -> Vec<Row> {
        let what = |part: &str| match part {
            "cache" => format!("of a token: the cache of {}", self.context),
            part => format!("of a token: {part}"),
        };
        self.named()
            .iter()
            .map(|(part, sample)| Row::of(what(part), sample, "ms"))
            .collect()
    }
}

impl FlatCost {
    /// Each go far along over the one before it.
    pub(super) fn ratios(&self) -> Sample {
        self.far_ms.over(&self.full_ms)
    }

    fn row(&self) -> Row {
        let what = format!("a token at {} against a young one", thousands(self.position));
        let row = Row::of(what, &self.ratios(), "×").with_result(format!("{:.3} ×", self.ratios().median()));
        row.with_note(Some(format!(
            "window of {}, {} pairs",
            self.window_tokens,
            self.full_ms.0.len()
        )))
    }
}

impl Stream {
    /// The median of the last tenth over the median of the first.
    pub(super) fn last_over_first(&self) -> f64 {
        let blocks = &self.block_ms.0;
        let tenth = blocks.len().div_ceil(10);
        let of = |part: &[f64]| Sample(part.to_vec()).median();
        of(&blocks[blocks.len() - tenth..]) / of(&blocks[..tenth])
    }

    fn rows(&self) -> Vec<Row> {
        let tokens = thousands(self.tokens as u64);
        let speed = Row::of(
            format!("a stream of {tokens} tokens"),
            &self.block_ms.map(|ms| 1e3 / ms),
            "tok/s",
        );
        let flat = Row::new(
            "its last tenth against its first",
            format!("{:.3} ×", self.last_over_first()),
        );
        let growth = self
            .growth_bytes
            .map(|bytes| Row::new("memory that it added", mebibytes(bytes as f64)));
        let speed = speed.with_note(Some(format!("window of {}", self.window_tokens)));
        [speed, flat].into_iter().chain(growth).collect()
    }
}

fn mebibytes(bytes: f64) -> String {
    let tenths = (bytes * 10.0 / f64::from(1 << 20)).round();
    // A zero without a sign.
    format!("{:.1} MiB", tenths / 10.0 + 0.0)
}

/// A number with commas between its thousands.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
