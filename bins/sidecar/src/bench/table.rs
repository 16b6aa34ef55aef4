//! Rows of a table for people, with columns as wide as their contents.

use std::fmt::Write;

use super::sample::Sample;

/// One number and its description.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Row {
    what: String,
    result: String,
    /// The smallest and the greatest of several runs.
    range: String,
    note: String,
}

impl Row {
    /// Makes a row of a number that was measured once.
    pub(super) fn new(what: impl Into<String>, result: String) -> Self {
        Self {
            what: what.into(),
            result,
            ..Self::default()
        }
    }

    /// Makes a row of the median of a few runs, and their range.
    pub(super) fn from_sample(what: String, sample: &Sample, unit: &str) -> Self {
        let range = match sample.0.len() {
            0 | 1 => String::new(),
            _ => format!("{} – {}", number(sample.min()), number(sample.max())),
        };
        Self {
            what,
            result: format!("{} {unit}", number(sample.median())),
            range,
            note: String::new(),
        }
    }

    /// Replaces the number.
    pub(super) fn with_result(self, result: String) -> Self {
        Self { result, ..self }
    }

    /// Adds a note, if there is one.
    pub(super) fn with_note(self, note: Option<String>) -> Self {
        Self {
            note: note.unwrap_or_default(),
            ..self
        }
    }

    fn cells(&self) -> [&str; 4] {
        [&self.what, &self.result, &self.range, &self.note]
    }
}

/// Writes a heading, and the rows below it.
pub(super) fn table(heading: &str, rows: &[Row]) -> String {
    let mut widths = [0; 4];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row.cells()) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = format!("{heading}\n\n");
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.into_iter().zip(row.cells()) {
            write!(line, "{cell:<width$}  ").expect("a String takes everything");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Formats three significant digits, or all digits of a whole number.
pub(super) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        0.0..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}
