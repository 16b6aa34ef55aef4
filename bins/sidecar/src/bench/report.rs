//! The measurements, and how they are summed up in rows; `json`, `table` and `svg` write them.

mod json;

use std::fs;
use std::path::Path;

use super::bandwidth::Bandwidth;
use super::sample::Sample;
use super::table::{Row, table};
use crate::settings::Settings;

/// All measurements; a part that was skipped is `None` or empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Report {
    /// The model's file or folder, without its parent folders.
    pub(super) model: String,
    /// Size of the file; `None` for a folder.
    pub(super) model_bytes: Option<u64>,
    /// Where the model ran; empty if only a whole engine was measured, which doesn't say.
    pub(super) device: String,
    /// The formats of the model's matrices in memory; empty as above.
    pub(super) weights: String,
    /// Threads that were requested; `None`: one for each core.
    pub(super) threads: Option<usize>,
    /// Sinks and window of a conversation; `None` for a dense cache.
    pub(super) view: Option<(usize, usize)>,
    pub(super) load: Option<Load>,
    pub(super) bandwidth: Option<Bandwidth>,
    pub(super) prefill: Option<Prefill>,
    pub(super) decode: Vec<Decode>,
    pub(super) conversations: Vec<Concurrency>,
    pub(super) first_token: Option<FirstToken>,
    pub(super) recompute: Option<Recompute>,
    pub(super) token_parts: Option<TokenParts>,
    pub(super) flat_cost: Option<FlatCost>,
    pub(super) stream: Option<Stream>,
}

/// A start. Memory is `None` where the operating system doesn't say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Load {
    pub(super) ready_ms: f64,
    /// The process's memory when the model is ready.
    pub(super) loaded_bytes: Option<u64>,
    /// The same with one conversation that fills its window.
    pub(super) serving_bytes: Option<u64>,
}

/// The prefill of a prompt.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prefill {
    pub(super) prompt: Vec<u32>,
    /// Until the first logits.
    pub(super) ms: Sample,
}

/// Decoding after a prompt.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Decode {
    pub(super) prompt: Vec<u32>,
    /// Number of tokens that the mean was taken over.
    pub(super) tokens: usize,
    /// Mean time of a token.
    pub(super) token_ms: Sample,
    /// Weights and cache that the middle one of the tokens reads at the least.
    pub(super) read_bytes: u64,
}

/// Several conversations at once.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Concurrency {
    pub(super) count: usize,
    pub(super) prompts: Vec<Vec<u32>>,
    /// Tokens of all answers.
    pub(super) answer_tokens: u64,
    /// From the requests to the last token.
    pub(super) seconds: Sample,
}

/// The time from a request to its first token.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct FirstToken {
    /// Of a new conversation.
    pub(super) new_ms: Sample,
    /// Of a second turn.
    pub(super) second_ms: Sample,
    pub(super) late_turn: u64,
    /// Of turn `late_turn`.
    pub(super) late_ms: Sample,
}

/// A stream compared with recomputing all that it sees.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recompute {
    pub(super) seen_tokens: usize,
    /// One token of the stream.
    pub(super) streamed_ms: Sample,
    /// Prefill of those tokens.
    pub(super) recomputed_ms: Sample,
}

/// A token's time, split up by differences.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TokenParts {
    pub(super) context: usize,
    /// Without logits, with a nearly empty cache.
    pub(super) layers_ms: Sample,
    /// What logits, and choosing a token, add.
    pub(super) output_ms: Sample,
    /// What the context adds.
    pub(super) cache_ms: Sample,
}

/// A stream far along compared with a window that has just filled up.
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
    /// Mean time of a token, one value a block.
    pub(super) block_ms: Sample,
    /// What the stream added to the process's memory.
    pub(super) growth_bytes: Option<i64>,
}

impl Report {
    /// Makes an empty report.
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

    /// Writes the table for people.
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

    /// Returns the share of the memory's bandwidth that a token uses, 1 for all of it: what it reads at the least over
    /// what could be read in its time.
    pub(super) fn share_of_limit(&self, decode: &Decode) -> Option<f64> {
        let bandwidth = self.bandwidth.as_ref()?.best();
        Some(decode.read_bytes as f64 / (bandwidth * decode.token_ms.median() / 1e3))
    }

    /// Returns a row for each number.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        if let Some(load) = &self.load {
            rows.extend(load.rows());
        }
        if let Some(Bandwidth { threads, bytes, runs }) = &self.bandwidth {
            let what = format!("memory, {threads} threads over {} MiB", bytes >> 20);
            let speeds = runs.map(|bytes| bytes / 1e9);
            rows.push(Row::from_sample(what, &speeds, "GB/s").with_result(format!("{:.1} GB/s", speeds.max())));
        }
        if let Some(prefill) = &self.prefill {
            let what = format!("prefill of {} tokens", prefill.prompt.len());
            rows.push(Row::from_sample(what, &prefill.speeds(), "tok/s"));
        }
        for decode in &self.decode {
            let row = Row::from_sample(format!("decode at {}", decode.prompt.len()), &decode.speeds(), "tok/s");
            let share = self.share_of_limit(decode);
            rows.push(row.with_note(share.map(|share| format!("{:.0} % of the memory limit", share * 100.0))));
        }
        for concurrency in &self.conversations {
            rows.push(concurrency.row());
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

    /// Returns tokens a second.
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

    /// Returns tokens a second.
    pub(super) fn speeds(&self) -> Sample {
        self.token_ms.map(|ms| 1e3 / ms)
    }
}

impl Concurrency {
    pub(super) fn new(count: usize) -> Self {
        Self {
            count,
            prompts: Vec::new(),
            answer_tokens: 0,
            seconds: Sample::default(),
        }
    }

    /// Returns tokens a second, summed over all answers.
    pub(super) fn speeds(&self) -> Sample {
        self.seconds.map(|seconds| self.answer_tokens as f64 / seconds)
    }

    fn row(&self) -> Row {
        let conversations = if self.count == 1 {
            "conversation"
        } else {
            "conversations"
        };
        let row = Row::from_sample(
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
            Row::from_sample("first token, new conversation".to_owned(), &self.new_ms, "ms"),
            Row::from_sample("first token, turn 2".to_owned(), &self.second_ms, "ms"),
            Row::from_sample(format!("first token, turn {late}"), &self.late_ms, "ms"),
            Row::from_sample(format!("turn {late} against turn 2"), &ratio, "×"),
        ]
    }
}

impl Recompute {
    /// Returns by what factor recomputing is slower.
    pub(super) fn ratios(&self) -> Sample {
        self.recomputed_ms.over(&self.streamed_ms)
    }

    fn rows(&self) -> Vec<Row> {
        let seen = self.seen_tokens;
        vec![
            Row::from_sample(format!("a streamed token that sees {seen}"), &self.streamed_ms, "ms"),
            Row::from_sample(format!("reading {seen} anew"), &self.recomputed_ms, "ms"),
            Row::from_sample("recomputing against streaming".to_owned(), &self.ratios(), "×"),
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

    /// Returns the parts by name.
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
            .map(|(part, sample)| Row::from_sample(what(part), sample, "ms"))
            .collect()
    }
}

impl FlatCost {
    /// Returns each run far along divided by the run before it.
    pub(super) fn ratios(&self) -> Sample {
        self.far_ms.over(&self.full_ms)
    }

    fn row(&self) -> Row {
        let what = format!("a token at {} against a young one", thousands(self.position));
        let row = Row::from_sample(what, &self.ratios(), "×").with_result(format!("{:.3} ×", self.ratios().median()));
        row.with_note(Some(format!(
            "window of {}, {} pairs",
            self.window_tokens,
            self.full_ms.0.len()
        )))
    }
}

impl Stream {
    /// Returns the median of the last tenth divided by the median of the first.
    pub(super) fn last_over_first(&self) -> f64 {
        let blocks = &self.block_ms.0;
        let tenth = blocks.len().div_ceil(10);
        let of = |part: &[f64]| Sample(part.to_vec()).median();
        of(&blocks[blocks.len() - tenth..]) / of(&blocks[..tenth])
    }

    fn rows(&self) -> Vec<Row> {
        let tokens = thousands(self.tokens as u64);
        let speed = Row::from_sample(
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
    // Adding zero removes the sign of a negative zero.
    format!("{:.1} MiB", tenths / 10.0 + 0.0)
}

/// Formats a number with commas between its thousands.
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
