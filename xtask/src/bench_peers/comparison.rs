//! Tokens a second of two programs, round by round, and what they say together.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::error::{Result, XtaskError};

/// What the numbers are, for readers of the table.
pub(super) const WHAT_IS_COMPARED: &str = "\
Tokens a second, the median of all rounds; the ratio is sidecar over llama.cpp, the median of the rounds' own ratios, and their range.
prefill: a prompt from its start to the first logits (sidecar bench), to the first token (llama.cpp's `timings`).
decode: the 128 tokens after a context, greedy; the model alone (sidecar bench), `timings` of one slot (llama.cpp).
at once: from the first request to the last token of the last answer; the engine with its queue, sampler and events in process
(sidecar bench), HTTP on this machine with a slot for each (llama.cpp). Same token ids, same threads, no prompt cached.
";

/// How fast one program was in one round: names of measurements, and tokens a second.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Speeds(pub(super) Vec<(String, f64)>);

impl Speeds {
    /// Reads a report of `sidecar bench`.
    pub(super) fn of_sidecar(report: &Value) -> Result<Self> {
        let mut speeds = Vec::new();
        let prefill = &report["prefill"];
        speeds.push((prefill_name(prefill)?, number(prefill, "tokensPerSecond")?));
        for decode in list(report, "decode")? {
            speeds.push((decode_name(decode)?, number(decode, "tokensPerSecond")?));
        }
        for together in list(report, "conversations")? {
            let name = format!("{} at once", number(together, "count")?);
            speeds.push((name, number(together, "tokensPerSecond")?));
        }
        Ok(Self(speeds))
    }

    /// Reads what `fixtures/peers/llama_cpp_bench.py` printed for one sequence, and for each number of conversations,
    /// in the order of the report.
    pub(super) fn of_llama_cpp(alone: &Value, together: &[Value]) -> Result<Self> {
        let mut speeds = vec![("prefill".to_owned(), number(alone, "prefill")?)];
        for speed in list(alone, "decode")? {
            let speed = speed.as_f64().ok_or_else(|| missing("decode"))?;
            speeds.push(("decode".to_owned(), speed));
        }
        for together in together {
            speeds.push(("at once".to_owned(), number(together, "conversations")?));
        }
        Ok(Self(speeds))
    }
}

/// One file's rounds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Comparison {
    format: &'static str,
    rows: Vec<Row>,
}

/// One measurement's rounds, in tokens a second.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    what: String,
    sidecar: Vec<f64>,
    llama_cpp: Vec<f64>,
}

impl Comparison {
    /// No round yet.
    pub(super) fn new(format: &'static str) -> Self {
        Self {
            format,
            rows: Vec::new(),
        }
    }

    /// Adds a round; both have the same measurements in the same order, by the sidecar's names.
    pub(super) fn add(&mut self, sidecar: Speeds, llama_cpp: Speeds) {
        if self.rows.is_empty() {
            self.rows = sidecar.0.iter().map(|(what, _)| Row::new(what.clone())).collect();
        }
        for (row, ((_, ours), (_, theirs))) in self.rows.iter_mut().zip(sidecar.0.into_iter().zip(llama_cpp.0)) {
            row.sidecar.push(ours);
            row.llama_cpp.push(theirs);
        }
    }

    /// For people.
    pub(super) fn table(&self, threads: u64) -> String {
        let rounds = self.rows.first().map_or(0, |row| row.sidecar.len());
        let mut text = format!("{}, {threads} threads, {rounds} rounds\n", self.format);
        let heading = ["", "sidecar", "llama.cpp", "ratio", "range"].map(str::to_owned);
        for [what, sidecar, llama_cpp, ratio, range] in std::iter::once(heading).chain(self.rows.iter().map(Row::cells))
        {
            let line = format!("{what:<20}{sidecar:>10}{llama_cpp:>12}{ratio:>10}   {range}");
            writeln!(text, "{}", line.trim_end()).expect("a String takes everything");
        }
        text
    }

    /// For machines.
    pub(super) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "what": row.what,
                "unit": "tokens per second",
                "sidecar": row.sidecar,
                "llamaCpp": row.llama_cpp,
                "sidecarMedian": median(&row.sidecar),
                "llamaCppMedian": median(&row.llama_cpp),
                "ratio": median(&row.ratios()),
            })
        });
        json!({ "format": self.format, "rows": rows.collect::<Vec<_>>() })
    }
}

impl Row {
    fn new(what: String) -> Self {
        Self {
            what,
            sidecar: Vec::new(),
            llama_cpp: Vec::new(),
        }
    }

    /// Of each round, sidecar over llama.cpp.
    fn ratios(&self) -> Vec<f64> {
        self.sidecar
            .iter()
            .zip(&self.llama_cpp)
            .map(|(ours, theirs)| ours / theirs)
            .collect()
    }

    fn cells(&self) -> [String; 5] {
        let ratios = self.ratios();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        [
            self.what.clone(),
            format!("{:.1}", median(&self.sidecar)),
            format!("{:.1}", median(&self.llama_cpp)),
            format!("{:.2} ×", median(&ratios)),
            format!("{least:.2} – {most:.2}"),
        ]
    }
}

/// The middle value, or the mean of the two in the middle; NaN of no values.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

fn prefill_name(prefill: &Value) -> Result<String> {
    Ok(format!("prefill of {}", number(prefill, "tokens")?))
}

fn decode_name(decode: &Value) -> Result<String> {
    Ok(format!("decode at {}", number(decode, "context")?))
}

fn number(object: &Value, key: &str) -> Result<f64> {
    object[key].as_f64().ok_or_else(|| missing(key))
}

fn list<'a>(object: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    object[key].as_array().ok_or_else(|| missing(key))
}

fn missing(key: &str) -> XtaskError {
    XtaskError::Report {
        what: "a program's speeds".to_owned(),
        reason: format!("there is no {key:?}"),
    }
}
