//! The arguments of `sidecar bench` as clap reads them; [`Plan`](super::plan::Plan) checks their ranges.

use std::path::PathBuf;

use clap::Args;

/// A list of whole numbers, as in `128,1024`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NumberList(pub(super) Vec<usize>);

/// The arguments of `bench`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without a part it measures --load, --prefill, --decode and --conversations. Sinks, window, device and \
    threads are those of the settings, as `serve` would take them."
)]
pub(crate) struct BenchArguments {
    /// GGUF file, Hugging Face folder, or a name under models/ [default: the settings' model]
    #[arg(long, value_name = "MODEL")]
    pub(super) model: Option<String>,
    /// Threads of the processor [default: the settings', or one for each core]
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<usize>,
    #[command(flatten)]
    pub(super) parts: Parts,
    /// Goes of each measurement, of which the median is shown
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(super) repeat: usize,
    /// Tokens of a conversation's prompt, its system part included
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub(super) prompt_tokens: usize,
    /// Tokens of an answer, and those that are timed after a context
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub(super) answer_tokens: usize,
    /// Window of --stream and --flat-cost, behind 4 sinks
    #[arg(long, value_name = "W", default_value_t = 252)]
    pub(super) stream_window: usize,
    /// Token ids to read, u16 little endian, over and over where they are too few [default: ids without a meaning]
    #[arg(long, value_name = "FILE")]
    pub(super) tokens: Option<PathBuf>,
    /// Prints JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Adds the token ids of every prompt to the JSON, so that another program can be given the same
    #[arg(long, requires = "json")]
    pub(super) ids: bool,
    /// Draws the speeds into a file
    #[arg(long, value_name = "FILE")]
    pub(super) svg: Option<PathBuf>,
}

/// What to measure. A part with a number may be given without it.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Parts")]
pub(super) struct Parts {
    /// Every part: minutes
    #[arg(long)]
    pub(super) all: bool,
    /// Time until the model answers, and the process's memory: then, and with one conversation that fills its window
    #[arg(long)]
    pub(super) load: bool,
    /// What all threads together read of this many MiB, the best of five; says how near to that limit decoding is
    #[arg(long, value_name = "MIB", num_args = 0..=1, require_equals = true, default_missing_value = "1024")]
    pub(super) memory: Option<usize>,
    /// Reading a prompt of N tokens, to the first logits
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "512")]
    pub(super) prefill: Option<usize>,
    /// The tokens after a context of N
    #[arg(long, value_name = "N,…", num_args = 0..=1, require_equals = true, default_missing_value = "128,1024",
        value_parser = numbers)]
    pub(super) decode: Option<NumberList>,
    /// N conversations at once, from the request to the last token of the last one
    #[arg(long, value_name = "N,…", num_args = 0..=1, require_equals = true, default_missing_value = "1,2,4,8",
        value_parser = numbers)]
    pub(super) conversations: Option<NumberList>,
    /// First token of a new conversation, and of turn N against turn 2, with full windows
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "50")]
    pub(super) first_token: Option<usize>,
    /// A stream of N tokens: its first tenth against its last, and what it adds to the process's memory
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "10000")]
    pub(super) stream: Option<usize>,
    /// A token of a stream that sees N tokens, against reading those N again for each
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "1024")]
    pub(super) recompute: Option<usize>,
    /// A token at position 1,000,000 against one whose window is just full, N times in turn
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "20")]
    pub(super) flat_cost: Option<usize>,
    /// Where a token's time goes after a context of N
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "1024")]
    pub(super) token_parts: Option<usize>,
}

/// Parses numbers that are separated by commas.
pub(super) fn numbers(text: &str) -> Result<NumberList, String> {
    let numbers = text.split(',').map(|number| {
        let parsed = number.trim().parse::<usize>();
        parsed.map_err(|_| format!("{number:?} is no whole number; expected for example 128,1024"))
    });
    numbers.collect::<Result<_, _>>().map(NumberList)
}
