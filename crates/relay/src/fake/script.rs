//! Reads the script of a fake relay from a file.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::FakeAnswer;
use crate::error::NarratorError;
use crate::relay::{RelayAnswer, Remark};

/// Most bytes of a script: thousands of answers.
const MAX_SCRIPT_BYTES: u64 = 1 << 20;

/// Longest delay: beyond any limit of a relay.
const MAX_DELAY_MS: u64 = 3_600_000;

/// One answer as the file has it. [`answer`] checks which keys are combined.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "struct Entry")]
struct ScriptedAnswer {
    answer: Option<String>,
    headline: Option<String>,
    delay_ms: Option<u64>,
    error: Option<String>,
    hang: Option<bool>,
}

/// Reads and checks a script.
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
    let answers: Vec<ScriptedAnswer> = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    let numbered = (1..).zip(answers);
    let checked =
        numbered.map(|(number, scripted)| answer(scripted).map_err(|wrong| format!("answer {number} {wrong}")));
    checked.collect::<Result<_, _>>().map_err(bad)
}

/// Converts one answer, or returns why its keys can't be combined.
fn answer(scripted: ScriptedAnswer) -> Result<FakeAnswer, String> {
    match scripted {
        ScriptedAnswer {
            answer: Some(text),
            headline,
            delay_ms,
            error: None,
            hang: None,
        } => delayed_answer(text, headline, delay_ms.unwrap_or(0)),
        ScriptedAnswer {
            answer: None,
            headline: None,
            delay_ms: None,
            error: Some(detail),
            hang: None,
        } => Ok(FakeAnswer::Fail(detail)),
        ScriptedAnswer {
            answer: None,
            headline: None,
            delay_ms: None,
            error: None,
            hang: Some(true),
        } => Ok(FakeAnswer::Hang),
        _ => Err(
            "must be {\"answer\": …} with headline and delayMs if wanted, {\"error\": …} or {\"hang\": true}"
                .to_owned(),
        ),
    }
}

fn delayed_answer(text: String, headline: Option<String>, delay_ms: u64) -> Result<FakeAnswer, String> {
    if delay_ms > MAX_DELAY_MS {
        return Err(format!("has a delayMs of {delay_ms}, and {MAX_DELAY_MS} is the most"));
    }
    let remark = Remark {
        text,
        headline,
        ..Remark::default()
    };
    let answer = RelayAnswer { remarks: vec![remark] };
    Ok(FakeAnswer::Answer(answer, Duration::from_millis(delay_ms)))
}
