//! The file of a fake relay's script.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::FakeAnswer;
use crate::error::NarratorError;
use crate::relay::{RelayAnswer, Remark};

/// Largest script: thousands of answers.
const MAX_SCRIPT_BYTES: u64 = 1 << 20;

/// Longest delay: beyond any limit that a relay is given.
const MAX_DELAY_MS: u64 = 3_600_000;

/// One answer as the file says it. Which keys go together is checked when it is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    answer: Option<String>,
    headline: Option<String>,
    delay_ms: Option<u64>,
    error: Option<String>,
    hang: Option<bool>,
}

/// Reads a script.
pub(super) fn read(path: &Path) -> Result<Vec<FakeAnswer>, NarratorError> {
    let bad = |reason: String| NarratorError::BadScript {
        path: path.to_owned(),
        reason,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(|error| bad(error.to_string()))?;
    let read = file.take(MAX_SCRIPT_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| bad(error.to_string()))?;
    if text.len() as u64 > MAX_SCRIPT_BYTES {
        return Err(bad(format!("it is larger than {MAX_SCRIPT_BYTES} bytes")));
    }
    let entries: Vec<Entry> = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    let numbered = (1..).zip(entries);
    let answers = numbered.map(|(number, entry)| answer(entry).map_err(|wrong| format!("answer {number} {wrong}")));
    answers.collect::<Result<_, _>>().map_err(bad)
}

fn answer(entry: Entry) -> Result<FakeAnswer, String> {
    match entry {
        Entry {
            answer: Some(text),
            headline,
            delay_ms,
            error: None,
            hang: None,
        } => says(text, headline, delay_ms.unwrap_or(0)),
        Entry {
            answer: None,
            headline: None,
            delay_ms: None,
            error: Some(detail),
            hang: None,
        } => Ok(FakeAnswer::Fails(detail)),
        Entry {
            answer: None,
            headline: None,
            delay_ms: None,
            error: None,
            hang: Some(true),
        } => Ok(FakeAnswer::Hangs),
        _ => Err(
            "must be {\"answer\": …} with headline and delayMs if wanted, {\"error\": …} or {\"hang\": true}"
                .to_owned(),
        ),
    }
}

fn says(text: String, headline: Option<String>, delay_ms: u64) -> Result<FakeAnswer, String> {
    if delay_ms > MAX_DELAY_MS {
        return Err(format!("has a delayMs of {delay_ms}, and {MAX_DELAY_MS} is the most"));
    }
    let remark = Remark {
        text,
        headline,
        ..Remark::default()
    };
    let answer = RelayAnswer { remarks: vec![remark] };
    Ok(FakeAnswer::Says(answer, Duration::from_millis(delay_ms)))
}
