//! What will be measured: the arguments, complete and in range.

use std::fs;
use std::path::Path;

use super::arguments::{BenchArguments, NumberList};
use crate::error::CommandError;

/// Sinks of the measured streams, as in the paper.
pub(super) const STREAM_SINKS: usize = 4;

/// Conversations that an engine lets run or wait.
const MAX_CONVERSATIONS: usize = 64;

/// Largest file of ids, in bytes: a million ids with room to spare.
const MAX_IDS_BYTES: u64 = 16 << 20;

/// Largest memory, in MiB, over which the bandwidth is measured: more than any cache of a usual machine.
const MAX_MEMORY_MIB: usize = 64 << 10;

/// The measurements to make. A part that is `None` or empty is skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) load: bool,
    /// Bytes to read.
    pub(super) memory: Option<usize>,
    /// Tokens of the prompt.
    pub(super) prefill: Option<usize>,
    /// Tokens of each context.
    pub(super) decode: Vec<usize>,
    /// Concurrent conversations of each measurement.
    pub(super) conversations: Vec<usize>,
    /// The number of the late turn.
    pub(super) first_token: Option<u64>,
    /// Tokens of the stream.
    pub(super) stream: Option<usize>,
    /// Tokens in view.
    pub(super) recompute: Option<usize>,
    /// Pairs of runs.
    pub(super) flat_cost: Option<usize>,
    /// Tokens of the context.
    pub(super) token_parts: Option<usize>,
    pub(super) repeat: usize,
    pub(super) prompt_tokens: usize,
    pub(super) answer_tokens: usize,
    pub(super) stream_window: usize,
    /// Token ids to read; empty for generated ones.
    pub(super) ids: Vec<u32>,
}

impl Plan {
    /// Checks the arguments; nothing is loaded yet.
    ///
    /// # Errors
    /// The first argument that is out of range, named.
    pub(super) fn new(arguments: &BenchArguments) -> Result<Self, CommandError> {
        let parts = &arguments.parts;
        let is_default = !parts.all && parts.is_empty();
        let or = |given: Option<usize>, otherwise, is_usual: bool| {
            given.or((parts.all || (is_default && is_usual)).then_some(otherwise))
        };
        let list = |given: &Option<NumberList>, otherwise: &[usize]| match given {
            Some(NumberList(numbers)) => numbers.clone(),
            None if parts.all || is_default => otherwise.to_vec(),
            None => Vec::new(),
        };
        let plan = Self {
            load: parts.load || parts.all || is_default,
            memory: or(parts.memory, 1_024, false),
            prefill: or(parts.prefill, 512, true),
            decode: list(&parts.decode, &[128, 1_024]),
            conversations: list(&parts.conversations, &[1, 2, 4, 8]),
            first_token: or(parts.first_token, 50, false).map(|turn| turn as u64),
            stream: or(parts.stream, 10_000, false),
            recompute: or(parts.recompute, 1_024, false),
            flat_cost: or(parts.flat_cost, 20, false),
            token_parts: or(parts.token_parts, 1_024, false),
            repeat: arguments.repeat,
            prompt_tokens: arguments.prompt_tokens,
            answer_tokens: arguments.answer_tokens,
            stream_window: arguments.stream_window,
            ids: arguments
                .tokens
                .as_deref()
                .map(read_ids)
                .transpose()?
                .unwrap_or_default(),
        };
        plan.check()?;
        let memory = plan.memory.map(|mib| mib << 20);
        Ok(Self { memory, ..plan })
    }

    /// Returns true if a part needs a whole engine.
    pub(super) fn needs_engine(&self) -> bool {
        self.load || !self.conversations.is_empty() || self.first_token.is_some()
    }

    /// Returns true if a part needs the model alone.
    pub(super) fn needs_model(&self) -> bool {
        let lengths = [
            self.prefill,
            self.stream,
            self.recompute,
            self.flat_cost,
            self.token_parts,
        ];
        !self.decode.is_empty() || lengths.iter().any(Option::is_some)
    }

    fn check(&self) -> Result<(), CommandError> {
        let sizes = [
            ("--repeat", self.repeat),
            ("--prompt-tokens", self.prompt_tokens),
            ("--answer-tokens", self.answer_tokens),
            ("--stream-window", self.stream_window),
        ];
        let optional = [
            ("--memory", self.memory),
            ("--prefill", self.prefill),
            ("--stream", self.stream),
            ("--flat-cost", self.flat_cost),
            ("--token-parts", self.token_parts),
        ];
        let given = optional.into_iter().filter_map(|(name, size)| Some((name, size?)));
        let lists = [("--decode", &self.decode), ("--conversations", &self.conversations)];
        let listed = lists
            .into_iter()
            .flat_map(|(name, sizes)| sizes.iter().map(move |&size| (name, size)));
        if let Some((name, _)) = sizes
            .into_iter()
            .chain(given)
            .chain(listed)
            .find(|(_, size)| *size == 0)
        {
            return Err(format!("{name} has a 0, but must be at least 1").into());
        }
        if let Some(count) = self.conversations.iter().find(|&&count| count > MAX_CONVERSATIONS) {
            return Err(format!("--conversations {count} is more than {MAX_CONVERSATIONS}").into());
        }
        if let Some(turn) = self.first_token.filter(|&turn| turn < 3) {
            return Err(format!("--first-token {turn} is no turn after the second, with which it is compared").into());
        }
        if let Some(seen) = self.recompute.filter(|&seen| seen <= STREAM_SINKS) {
            return Err(format!("--recompute {seen} leaves no window behind the sinks").into());
        }
        if let Some(mib) = self.memory.filter(|&mib| mib > MAX_MEMORY_MIB) {
            return Err(format!("--memory {mib} is more than {MAX_MEMORY_MIB} MiB").into());
        }
        Ok(())
    }
}

impl super::arguments::Parts {
    fn is_empty(&self) -> bool {
        let numbers = [
            self.memory,
            self.prefill,
            self.first_token,
            self.stream,
            self.recompute,
            self.flat_cost,
            self.token_parts,
        ];
        let is_listed = self.decode.is_some() || self.conversations.is_some();
        !self.load && !is_listed && numbers.iter().all(Option::is_none)
    }
}

fn read_ids(path: &Path) -> Result<Vec<u32>, CommandError> {
    let refused = |reason: String| format!("cannot read token ids from {}: {reason}", path.display());
    let length = fs::metadata(path).map_err(|error| refused(error.to_string()))?.len();
    if length > MAX_IDS_BYTES {
        return Err(refused(format!("{length} bytes are more than {MAX_IDS_BYTES}")).into());
    }
    let bytes = fs::read(path).map_err(|error| refused(error.to_string()))?;
    let pairs = bytes.chunks_exact(2);
    if bytes.is_empty() || !pairs.remainder().is_empty() {
        return Err(refused(format!("{length} bytes are no ids of two bytes each")).into());
    }
    Ok(pairs
        .map(|pair| u32::from(u16::from_le_bytes([pair[0], pair[1]])))
        .collect())
}
