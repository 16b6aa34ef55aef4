//! Checks every promise of the sidecar while faults are injected: many clients run turns, tools, readers, edits and
//! imports while the sidecar is killed, stopped, given a full disk, and shown a clock that jumps.
//!
//! A run is a number of rounds. In each, clients run against the real binary, one fault is injected, and then
//! everything that is stored is compared with everything that any client received. The same seed makes the same plan,
//! though not the same timing. The test command runs a few rounds; `cargo xtask soak` runs as many as fit into some
//! minutes, and shows the table.

mod checker;
mod clients;
mod drain;
mod faults;
mod harness;
mod memory;
mod model_server;
mod observations;
mod random;
mod report;
mod shifted_clock;
mod small_disk;

use std::env;
use std::fs::{self, File};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use conversation_store::ConversationStore;
use tempfile::TempDir;
use tokio::sync::watch;

use self::faults::Fault;
use self::harness::{Progress, SoakHarness};
use self::memory::MemoryLog;
use self::model_server::ModelServer;
use self::observations::Observations;
use self::random::Random;
use self::report::Report;
use self::shifted_clock::ShiftedClock;
use self::small_disk::SmallDisk;
use crate::process::{Sidecar, binary, toy_model, write_brief_agent};

/// Rounds in the test command: each fault once.
const FEW_ROUNDS: u64 = 6;

/// Turns that a chat client starts in a round of the test command, and of longer runs.
const FEW_STEPS: u64 = 3;
const STEPS: u64 = 8;

/// Kills in the test command.
const FEW_KILLS: u64 = 20;

/// Rounds from one check of all conversations to the next; in between, only the recent ones are checked.
const ROUNDS_PER_FULL_CHECK: u64 = 16;

/// How long running turns may go on after SIGTERM.
const DRAIN_SECONDS: &str = "1";

/// When a run ends.
#[derive(Debug, Clone, Copy)]
enum Length {
    Rounds(u64),
    Minutes(u64),
}

/// A run: the seed of its plan, its length, and what its rounds share.
struct Soak {
    // Declared first, so that it is unmounted before the folder that holds it is removed.
    small_disk: Option<Arc<SmallDisk>>,
    clock: Arc<ShiftedClock>,
    folder: TempDir,
    random: Random,
    steps: u64,
    fault: fn(u64, &mut Random) -> Fault,
    server: ModelServer,
    observations: Arc<Observations>,
    report: Arc<Report>,
    memory: MemoryLog,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_is_kept_under_fire() {
    let report = Arc::new(Report::default());
    drain::measure(&report).await;
    let mut soak = Soak::prepare(Fault::any, report).await;
    let Some(minutes) = setting("SIDECAR_SOAK_MINUTES") else {
        return soak.run(Length::Rounds(FEW_ROUNDS)).await;
    };
    soak.steps = STEPS;
    soak.small_disk = SmallDisk::mount(&soak.folder.path().join("data")).map(Arc::new);
    soak.run(Length::Minutes(minutes)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_to_kills_of_many_talks() {
    let mut soak = Soak::prepare(Fault::kill, Arc::default()).await;
    soak.steps = STEPS;
    let kills = setting("SIDECAR_SOAK_KILLS").unwrap_or(FEW_KILLS);
    soak.run(Length::Rounds(kills)).await;
}

fn setting(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value:?} is no number")),
    )
}

impl Soak {
    async fn prepare(fault: fn(u64, &mut Random) -> Fault, report: Arc<Report>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        write_brief_agent(folder.path());
        let far = "---\nname: Far\nsystem_prompt: Be brief.\nmodel: openai:m\n---\n";
        fs::write(folder.path().join(".agents/far.md"), far).expect("a file can be written");
        // The agent that the narrator asks.
        let controller = "---\nname: Controller\nsystem_prompt: Be brief.\noptions:\n  maxNewTokens: 8\n---\n";
        fs::write(folder.path().join(".agents/controller.md"), controller).expect("a file can be written");
        let random = Random::new(setting("SIDECAR_SOAK_SEED").unwrap_or(1));
        Self {
            server: ModelServer::start(random.part(1_000), Arc::clone(&report)).await,
            observations: Arc::new(Observations::new(Arc::clone(&report))),
            memory: MemoryLog::default(),
            small_disk: None,
            clock: Arc::new(ShiftedClock::build(folder.path())),
            folder,
            random,
            steps: FEW_STEPS,
            fault,
            report,
        }
    }

    /// Runs the rounds, then checks everything once more, and prints the table.
    async fn run(mut self, length: Length) {
        let started = Instant::now();
        let mut sidecar = self.start();
        // A violation can be reproduced from its own round on.
        let first = setting("SIDECAR_SOAK_FIRST_ROUND").unwrap_or_default();
        let mut round = first;
        while match length {
            Length::Rounds(rounds) => round < first + rounds,
            Length::Minutes(minutes) => started.elapsed() < Duration::from_secs(60 * minutes),
        } {
            sidecar = self.round(sidecar, round).await;
            round += 1;
        }
        sidecar.terminate();
        sidecar.wait();
        let sidecar = self.start();
        let harness = self.harness(&sidecar, round);
        checker::check(&harness, &self.observations.conversations()).await;
        drop(sidecar);
        self.check_database();
        self.report.measured("rounds", (round - first).to_string());
        self.report.measured("seconds", started.elapsed().as_secs().to_string());
        self.memory.write_to(&self.report);
        println!("{}", self.report.table());
        assert_eq!(self.report.violations(), 0, "the table above says which");
    }

    /// Runs the clients, injects a fault and checks what is stored; returns the sidecar of the next round.
    async fn round(&mut self, sidecar: Sidecar, round: u64) -> Sidecar {
        let mut random = self.random.part(round);
        let fault = (self.fault)(round, &mut random);
        let harness = self.harness(&sidecar, round);
        let clients = clients::start(&harness, &random, self.steps);
        let start = || self.command();
        let (survivor, ()) = tokio::join!(
            fault.inject(sidecar, &harness, &mut random, start),
            join(clients, &harness)
        );
        let sidecar = match survivor {
            Some(sidecar) => sidecar,
            None => {
                if random.once_in(4) {
                    self.check_database();
                }
                self.start()
            }
        };
        let harness = self.harness(&sidecar, round);
        let mut conversations = self.observations.conversations();
        if !round.is_multiple_of(ROUNDS_PER_FULL_CHECK) {
            let recent = [clients::conversations(round), format!("copy-{round}-")];
            conversations.retain(|id| recent.iter().any(|prefix| id.starts_with(prefix)));
        }
        checker::check(&harness, &conversations).await;
        self.memory.sample(sidecar.id());
        self.report.did("rounds");
        sidecar
    }

    fn harness(&self, sidecar: &Sidecar, round: u64) -> SoakHarness {
        SoakHarness {
            authority: sidecar.authority.clone(),
            folder: self.folder.path().to_owned(),
            small_disk: self.small_disk.clone(),
            clock: Arc::clone(&self.clock),
            round,
            observations: Arc::clone(&self.observations),
            report: Arc::clone(&self.report),
            progress: Arc::new(watch::Sender::new(Progress::default())),
        }
    }

    fn command(&self) -> Command {
        let mut command = binary(self.folder.path(), toy_model());
        command
            .env("STREAMING_LLM_OPENAI_URL", &self.server.url)
            .env("STREAMING_LLM_MODELS", "openai:m")
            .env("STREAMING_LLM_DRAIN_SECONDS", DRAIN_SECONDS);
        self.clock.set_up(&mut command);
        command
    }

    fn start(&self) -> Sidecar {
        self.report.did("starts");
        let path = self.folder.path().join("stderr");
        let stderr = File::create(&path).expect("a file can be made");
        let mut command = self.command();
        command.stderr(stderr);
        Sidecar::serving(command).unwrap_or_else(|_| {
            let output = fs::read_to_string(&path).unwrap_or_default();
            panic!("it doesn't start: {output}")
        })
    }

    fn check_database(&self) {
        let damage = ConversationStore::find_damage(&self.folder.path().join("data"));
        let is_sound = damage.as_ref().is_ok_and(Vec::is_empty);
        self.report
            .check("the database is sound (integrity_check)", is_sound, || {
                format!("{damage:?}")
            });
    }
}

/// Waits until all clients are done; one that panics is a violation.
async fn join(mut clients: tokio::task::JoinSet<()>, harness: &SoakHarness) {
    while let Some(result) = clients.join_next().await {
        harness
            .report
            .check("no client panics", result.is_ok(), || format!("{result:?}"));
        // Lets a fault stop waiting for progress once all other clients are done.
        harness.progress.send_modify(|progress| progress.clients_done += 1);
    }
}
