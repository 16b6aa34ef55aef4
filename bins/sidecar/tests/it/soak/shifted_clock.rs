//! A wall clock that jumps while a sidecar runs, as those of laptops that wake and of boards without a battery do.
//!
//! A shared library replaces the C library's clock functions in that process alone; the binary is the released one.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};

use super::harness::{STUCK_TIMEOUT, SoakHarness};
use super::random::Random;
use crate::wait::holds_within;

const SOURCE: &str = include_str!("shifted_clock.c");

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;

/// Tolerance: a server's `Date` is in whole seconds, and cached for a moment.
const SLACK: SignedDuration = SignedDuration::from_secs(2);

/// The clock of every sidecar that is started with it.
#[derive(Debug)]
pub struct ShiftedClock {
    library: PathBuf,
    offset_path: PathBuf,
    offset: File,
}

impl ShiftedClock {
    /// Compiles the library and creates a clock without offset, its files in a folder.
    pub fn build(folder: &Path) -> Self {
        let (source, library) = (folder.join("shifted_clock.c"), folder.join("shifted_clock.so"));
        fs::write(&source, SOURCE).expect("a file can be written");
        let compiled = Command::new("cc")
            .args(["-O2", "-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .status();
        assert!(compiled.expect("a C compiler is there").success());
        let offset_path = folder.join("clock_offset");
        fs::write(&offset_path, 0_i64.to_ne_bytes()).expect("a file can be written");
        let offset = OpenOptions::new().write(true).open(&offset_path);
        Self {
            library,
            offset: offset.expect("a file can be opened"),
            offset_path,
        }
    }

    /// Makes a command's process use this clock.
    pub fn set_up(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("CLOCK_OFFSET_FILE", &self.offset_path);
    }

    /// Moves the clock, and waits until the sidecar shows the new time.
    pub async fn jump(&self, harness: &SoakHarness, random: &mut Random) {
        let offset = far_away(random);
        // Written in one piece, since the process has the file mapped.
        self.offset
            .write_all_at(&(offset.as_nanos() as i64).to_ne_bytes(), 0)
            .expect("a file can be written");
        harness.report.did("jumps of the clock");
        let is_shown = holds_within(STUCK_TIMEOUT, async || shows(harness, offset).await).await;
        harness
            .report
            .check("the sidecar shows the time of a clock that jumped", is_shown, || {
                format!("{offset:?}")
            });
    }
}

/// Returns an offset from the right time: none, seconds to years in both directions, or back to the day after 1970
/// began.
fn far_away(random: &mut Random) -> SignedDuration {
    let epoch_s = DAY_S - Timestamp::now().as_second();
    let choices = [
        0,
        -3,
        5,
        -HOUR_S,
        HOUR_S,
        -30 * DAY_S,
        400 * DAY_S,
        7_000 * DAY_S,
        epoch_s,
    ];
    SignedDuration::from_secs(choices[random.below(choices.len() as u64) as usize])
}

/// Returns true if the date of a response has this offset from the right time.
async fn shows(harness: &SoakHarness, offset: SignedDuration) -> bool {
    let answer = harness.http("GET", "/healthz", "").await;
    let shown = answer.as_ref().and_then(|answer| answer.header("date"));
    let shown = shown.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
    shown.is_some_and(|shown| shown.duration_since(Timestamp::now() + offset).abs() <= SLACK)
}
