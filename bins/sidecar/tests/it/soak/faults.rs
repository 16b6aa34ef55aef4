//! The faults that are injected while the sidecar is in use: it is killed, terminated, killed during its start, given a
//! full disk, and shown a clock that jumps.

use std::process::{Command, Stdio};

use tokio::task::spawn_blocking;
use tokio::time::{Duration, timeout};

use super::clients::all_done;
use super::harness::{Progress, SoakHarness};
use super::random::Random;
use crate::disk::limit_files;
use crate::process::Sidecar;

/// Longest that a disk stays full: chat clients wait that long for the ends of their turns.
const LONGEST_FULL: Duration = Duration::from_secs(2);

/// Rounds in which processes are ended, followed by as many in which none is: long enough to see memory grow.
const ROUNDS_PER_PHASE: u64 = 16;

/// A start takes less than this on an idle machine; on a busy one the kill comes earlier in its course.
const START_MS: u64 = 120;

/// Most jumps of the clock in a round.
const MOST_JUMPS: u64 = 4;

/// What is done to the sidecar in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done.
    Calm,
    Kill,
    /// Kills the sidecar, and then some of the starts that follow.
    KillInStart,
    Terminate,
    FullDisk,
    /// Moves the wall clock, several times in a row.
    ClockJumps,
}

impl Fault {
    const ALL: [Self; 6] = [
        Self::FullDisk,
        Self::Kill,
        Self::Terminate,
        Self::KillInStart,
        Self::ClockJumps,
        Self::Calm,
    ];

    /// Picks a fault for a round of a soak: each of them once, then any at random; in alternating phases no process is
    /// ended.
    pub fn any(round: u64, random: &mut Random) -> Self {
        if let Some(fault) = Self::ALL.get(round as usize) {
            return *fault;
        }
        let is_gentle = (round / ROUNDS_PER_PHASE) % 2 == 1;
        match random.below(12) {
            0..=3 => Self::FullDisk,
            4..=5 => Self::ClockJumps,
            _ if is_gentle => Self::Calm,
            6..=8 => Self::Kill,
            9 => Self::KillInStart,
            10 => Self::Terminate,
            _ => Self::Calm,
        }
    }

    /// Picks a kill, now and then one that is followed by kills of the next starts.
    pub fn kill(_round: u64, random: &mut Random) -> Self {
        if random.once_in(5) {
            Self::KillInStart
        } else {
            Self::Kill
        }
    }

    /// Injects the fault once enough frames were received; returns the sidecar if it still runs.
    pub async fn inject(
        self,
        sidecar: Sidecar,
        harness: &SoakHarness,
        random: &mut Random,
        start: impl Fn() -> Command,
    ) -> Option<Sidecar> {
        let after = random.below(300);
        let mut progress = harness.progress.subscribe();
        if self != Self::Calm {
            let is_due = |progress: &Progress| progress.frames >= after || all_done(progress);
            let _sender_is_alive = progress.wait_for(is_due).await;
        }
        match self {
            Self::Calm => Some(sidecar),
            Self::Kill => {
                harness.report.did("kill -9");
                drop(sidecar);
                None
            }
            Self::KillInStart => {
                harness.report.did("kill -9");
                drop(sidecar);
                kill_in_start(harness, random, start).await;
                None
            }
            Self::Terminate => {
                harness.report.did("SIGTERM");
                sidecar.terminate();
                let ended = spawn_blocking(move || sidecar.wait())
                    .await
                    .expect("waiting doesn't panic");
                harness.report.check(
                    "a sidecar that is terminated exits with success",
                    ended.success(),
                    || ended.to_string(),
                );
                None
            }
            Self::FullDisk => {
                fill_the_disk(&sidecar, harness, random).await;
                Some(sidecar)
            }
            Self::ClockJumps => {
                for _ in 0..1 + random.below(MOST_JUMPS) {
                    harness.clock.jump(harness, random).await;
                }
                Some(sidecar)
            }
        }
    }
}

/// Lets the disk take nothing, or very little, until some clients have received an error from it.
async fn fill_the_disk(sidecar: &Sidecar, harness: &SoakHarness, random: &mut Random) {
    let mut progress = harness.progress.subscribe();
    let faults = harness.progress.borrow().disk_errors + 1 + random.below(4);
    let felt = timeout(
        LONGEST_FULL,
        progress.wait_for(|progress| progress.disk_errors >= faults || all_done(progress)),
    );
    match &harness.small_disk {
        Some(disk) if random.once_in(2) => {
            harness.report.did("disks that were full");
            let is_full = disk.fill(random.below(16));
            let _over = felt.await;
            let is_free = disk.free();
            harness.report.check(
                "the small disk can be filled and freed",
                is_full && is_free,
                String::new,
            );
        }
        _ => {
            harness.report.did("disks that refused to let a file grow");
            limit_files(sidecar.id(), &size_allowed(harness, random).to_string());
            let _over = felt.await;
            limit_files(sidecar.id(), "unlimited");
        }
    }
}

/// Returns 0, or so much more than the length of the database's WAL that some of a turn fits.
fn size_allowed(harness: &SoakHarness, random: &mut Random) -> u64 {
    let log = harness.folder.join("data/conversations.sqlite3-wal");
    let length = std::fs::metadata(log).map_or(0, |log| log.len());
    if random.once_in(2) {
        0
    } else {
        length + random.below(65_536)
    }
}

/// Starts the sidecar a few times, and kills it before or soon after it serves.
async fn kill_in_start(harness: &SoakHarness, random: &mut Random, start: impl Fn() -> Command) {
    for _ in 0..1 + random.below(3) {
        let command = start();
        // In the foreground, `timeout` waits for the end of what it has killed.
        let mut cut = Command::new("timeout");
        cut.args([
            "--foreground",
            "-s",
            "KILL",
            &format!("0.{:03}", 1 + random.below(START_MS)),
        ])
        .arg(command.get_program());
        if let Some(folder) = command.get_current_dir() {
            cut.current_dir(folder);
        }
        for (name, value) in command.get_envs() {
            value.map(|value| cut.env(name, value));
        }
        cut.stdout(Stdio::null()).stderr(Stdio::null());
        harness.report.did("kill -9 in the start");
        let ended = spawn_blocking(move || cut.status())
            .await
            .expect("waiting doesn't panic");
        let is_killed = ended.as_ref().is_ok_and(|status| !status.success());
        harness
            .report
            .check("a start that is killed ends by nothing else", is_killed, || {
                format!("{ended:?}")
            });
    }
}
