//! What is done to the sidecar while it is used: killed, told to stop, killed in its start, put on a disk that takes nothing, and
//! shown a clock that jumps.

use std::process::{Command, Stdio};

use tokio::task::spawn_blocking;
use tokio::time::{Duration, timeout};

use super::actors::have_played;
use super::random::Random;
use super::stage::{Heard, Stage};
use crate::disk::limit_files;
use crate::process::Sidecar;

/// Longest that a disk stays full: the talkers wait that long for the ends of their turns.
const LONGEST_FULL: Duration = Duration::from_secs(2);

/// Rounds in which processes are ended, and then as many in which none is: long enough to see memory grow.
const ROUNDS_OF_A_MOOD: u64 = 16;

/// A start takes less than this on an idle machine; on a busy one it is cut earlier in its course.
const START_MS: u64 = 120;

/// Jumps of the clock in a round, at most.
const MOST_JUMPS: u64 = 4;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fire {
    /// Nothing.
    Calm,
    Kill,
    /// A kill, and then kills of the starts that follow.
    KillInStart,
    Terminate,
    FullDisk,
    /// The wall clock jumps, some times in a row.
    ClockJumps,
}

impl Fire {
    const ALL: [Self; 6] = [
        Self::FullDisk,
        Self::Kill,
        Self::Terminate,
        Self::KillInStart,
        Self::ClockJumps,
        Self::Calm,
    ];

    /// One for a round of a soak: each of them first, then any; by turns, a process lives long.
    pub fn any(round: u64, random: &mut Random) -> Self {
        if let Some(fire) = Self::ALL.get(round as usize) {
            return *fire;
        }
        let is_gentle = (round / ROUNDS_OF_A_MOOD) % 2 == 1;
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

    /// A kill, one in some of them followed by others.
    pub fn kill(_round: u64, random: &mut Random) -> Self {
        if random.once_in(5) {
            Self::KillInStart
        } else {
            Self::Kill
        }
    }

    /// Lights it once enough was heard; the sidecar, if it lives still.
    pub async fn light(
        self,
        sidecar: Sidecar,
        stage: &Stage,
        random: &mut Random,
        start: impl Fn() -> Command,
    ) -> Option<Sidecar> {
        let after = random.below(300);
        let mut heard = stage.heard.subscribe();
        if self != Self::Calm {
            let is_due = |heard: &Heard| heard.frames >= after || have_played(heard);
            let _stage_is_ours = heard.wait_for(is_due).await;
        }
        match self {
            Self::Calm => Some(sidecar),
            Self::Kill => {
                stage.report.did("kill -9");
                drop(sidecar);
                None
            }
            Self::KillInStart => {
                stage.report.did("kill -9");
                drop(sidecar);
                kill_in_start(stage, random, start).await;
                None
            }
            Self::Terminate => {
                stage.report.did("SIGTERM");
                sidecar.terminate();
                let ended = spawn_blocking(move || sidecar.ended())
                    .await
                    .expect("waiting doesn't panic");
                stage
                    .report
                    .check("a sidecar that is told to stop ends well", ended.success(), || {
                        ended.to_string()
                    });
                None
            }
            Self::FullDisk => {
                fill_the_disk(&sidecar, stage, random).await;
                Some(sidecar)
            }
            Self::ClockJumps => {
                for _ in 0..1 + random.below(MOST_JUMPS) {
                    stage.clock.jump(stage, random).await;
                }
                Some(sidecar)
            }
        }
    }
}

/// Lets the disk take nothing, or very little, until some of that was felt.
async fn fill_the_disk(sidecar: &Sidecar, stage: &Stage, random: &mut Random) {
    let mut heard = stage.heard.subscribe();
    let faults = stage.heard.borrow().disk_faults + 1 + random.below(4);
    let felt = timeout(
        LONGEST_FULL,
        heard.wait_for(|heard| heard.disk_faults >= faults || have_played(heard)),
    );
    match &stage.small_disk {
        Some(disk) if random.once_in(2) => {
            stage.report.did("disks that were full");
            let is_full = disk.fill(random.below(16));
            let _over = felt.await;
            let is_free = disk.free();
            stage
                .report
                .check("the small disk does as it is told", is_full && is_free, String::new);
        }
        _ => {
            stage.report.did("disks that refused to let a file grow");
            limit_files(sidecar.id(), &size_allowed(stage, random).to_string());
            let _over = felt.await;
            limit_files(sidecar.id(), "unlimited");
        }
    }
}

/// Nothing at all, or so much more than the database's log has that some of a turn fits.
fn size_allowed(stage: &Stage, random: &mut Random) -> u64 {
    let log = stage.folder.join("data/conversations.sqlite3-wal");
    let length = std::fs::metadata(log).map_or(0, |log| log.len());
    if random.once_in(2) {
        0
    } else {
        length + random.below(65_536)
    }
}

/// Starts it a few times, and kills it before or soon after it serves.
async fn kill_in_start(stage: &Stage, random: &mut Random, start: impl Fn() -> Command) {
    for _ in 0..1 + random.below(3) {
        let command = start();
        // In the foreground it waits for the end of what it has killed.
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
        stage.report.did("kill -9 in the start");
        let ended = spawn_blocking(move || cut.status())
            .await
            .expect("waiting doesn't panic");
        let is_killed = ended.as_ref().is_ok_and(|status| !status.success());
        stage
            .report
            .check("a start that is cut ends by nothing else", is_killed, || {
                format!("{ended:?}")
            });
    }
}
