//! Every promise under fire: turns, tools, readers, edits and imports of many clients, while the sidecar is killed, stopped, put on a
//! disk that takes nothing, and shown a clock that jumps.
//!
//! A run is a number of rounds. In each, actors play against the real binary, something is done to it, and then everything that is
//! stored is compared with everything that any client was told. The same seed makes the same plan, though not the same moments. The test
//! command runs a few rounds; `cargo xtask soak` runs as many as fit into some minutes, and shows the table.

mod actors;
mod drain;
mod fires;
mod judge;
mod ledger;
mod memory;
mod model_server;
mod random;
mod report;
mod shifted_clock;
mod small_disk;
mod stage;

use std::env;
use std::fs::{self, File};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use conversation_store::ConversationStore;
use tempfile::TempDir;
use tokio::sync::watch;

use self::fires::Fire;
use self::ledger::Ledger;
use self::memory::Memory;
use self::model_server::ModelServer;
use self::random::Random;
use self::report::Report;
use self::shifted_clock::ShiftedClock;
use self::small_disk::SmallDisk;
use self::stage::{Heard, Stage};
use crate::process::{Sidecar, binary, toy_model, write_brief_agent};

/// Rounds in the test command: each fire once.
const FEW_ROUNDS: u64 = 6;

/// Turns that a talker begins in a round of these, and of longer runs.
const FEW_STEPS: u64 = 3;
const STEPS: u64 = 8;

/// Kills in the test command.
const FEW_KILLS: u64 = 20;

/// Rounds from one look at all conversations to the next; in between, those of late are looked at.
const ROUNDS_OF_A_LOOK: u64 = 16;

/// How long running turns may go on after SIGTERM.
const DRAIN_SECONDS: &str = "1";

/// How long a run goes on.
#[derive(Debug, Clone, Copy)]
enum Length {
    Rounds(u64),
    Minutes(u64),
}

/// A run: the seed of its plan, its length, and what is done in its rounds.
struct Soak {
    // Before the folder that it is mounted in goes away.
    small_disk: Option<Arc<SmallDisk>>,
    clock: Arc<ShiftedClock>,
    folder: TempDir,
    random: Random,
    steps: u64,
    fire: fn(u64, &mut Random) -> Fire,
    server: ModelServer,
    ledger: Arc<Ledger>,
    report: Arc<Report>,
    memory: Memory,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_is_kept_under_fire() {
    let report = Arc::new(Report::default());
    drain::measure(&report).await;
    let mut soak = Soak::prepare(Fire::any, report).await;
    let Some(minutes) = setting("SIDECAR_SOAK_MINUTES") else {
        return soak.run(Length::Rounds(FEW_ROUNDS)).await;
    };
    soak.steps = STEPS;
    soak.small_disk = SmallDisk::mount(&soak.folder.path().join("data")).map(Arc::new);
    soak.run(Length::Minutes(minutes)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_to_kills_of_many_talks() {
    let mut soak = Soak::prepare(Fire::kill, Arc::default()).await;
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
    async fn prepare(fire: fn(u64, &mut Random) -> Fire, report: Arc<Report>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        write_brief_agent(folder.path());
        let far = "---\nname: Far\nsystem_prompt: Be brief.\nmodel: openai:m\n---\n";
        fs::write(folder.path().join(".agents/far.md"), far).expect("a file can be written");
        // Whom the narrator asks.
        let controller = "---\nname: Controller\nsystem_prompt: Be brief.\noptions:\n  maxNewTokens: 8\n---\n";
        fs::write(folder.path().join(".agents/controller.md"), controller).expect("a file can be written");
        let random = Random::new(setting("SIDECAR_SOAK_SEED").unwrap_or(1));
        Self {
            server: ModelServer::start(random.part(1_000), Arc::clone(&report)).await,
            ledger: Arc::new(Ledger::new(Arc::clone(&report))),
            memory: Memory::default(),
            small_disk: None,
            clock: Arc::new(ShiftedClock::build(folder.path())),
            folder,
            random,
            steps: FEW_STEPS,
            fire,
            report,
        }
    }

    /// Plays rounds, then looks at everything once more, and shows the table.
    async fn run(mut self, length: Length) {
        let begun = Instant::now();
        let mut sidecar = self.start();
        // A fault is looked for again from its own round on.
        let first = setting("SIDECAR_SOAK_FIRST_ROUND").unwrap_or_default();
        let mut round = first;
        while match length {
            Length::Rounds(rounds) => round < first + rounds,
            Length::Minutes(minutes) => begun.elapsed() < Duration::from_secs(60 * minutes),
        } {
            sidecar = self.round(sidecar, round).await;
            round += 1;
        }
        sidecar.terminate();
        sidecar.ended();
        let sidecar = self.start();
        let stage = self.stage(&sidecar, round);
        judge::judge(&stage, &self.ledger.conversations()).await;
        drop(sidecar);
        self.look_for_damage();
        self.report.measured("rounds", (round - first).to_string());
        self.report.measured("seconds", begun.elapsed().as_secs().to_string());
        self.memory.tell(&self.report);
        println!("{}", self.report.table());
        assert_eq!(self.report.faults(), 0, "the table above says which");
    }

    /// Actors play, a fire is lit, and what is left is judged; the sidecar of the next round.
    async fn round(&mut self, sidecar: Sidecar, round: u64) -> Sidecar {
        let mut random = self.random.part(round);
        let fire = (self.fire)(round, &mut random);
        let stage = self.stage(&sidecar, round);
        let actors = actors::start(&stage, &random, self.steps);
        let start = || self.command();
        let (lit, ()) = tokio::join!(fire.light(sidecar, &stage, &mut random, start), join(actors, &stage));
        let sidecar = match lit {
            Some(sidecar) => sidecar,
            None => {
                if random.once_in(4) {
                    self.look_for_damage();
                }
                self.start()
            }
        };
        let stage = self.stage(&sidecar, round);
        let mut conversations = self.ledger.conversations();
        if !round.is_multiple_of(ROUNDS_OF_A_LOOK) {
            let of_late = [actors::conversations(round), format!("copy-{round}-")];
            conversations.retain(|id| of_late.iter().any(|prefix| id.starts_with(prefix)));
        }
        judge::judge(&stage, &conversations).await;
        self.memory.sample(sidecar.id());
        self.report.did("rounds");
        sidecar
    }

    fn stage(&self, sidecar: &Sidecar, round: u64) -> Stage {
        Stage {
            authority: sidecar.authority.clone(),
            folder: self.folder.path().to_owned(),
            small_disk: self.small_disk.clone(),
            clock: Arc::clone(&self.clock),
            round,
            ledger: Arc::clone(&self.ledger),
            report: Arc::clone(&self.report),
            heard: Arc::new(watch::Sender::new(Heard::default())),
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
            let said = fs::read_to_string(&path).unwrap_or_default();
            panic!("it doesn't start: {said}")
        })
    }

    fn look_for_damage(&self) {
        let damage = ConversationStore::find_damage(&self.folder.path().join("data"));
        let is_sound = damage.as_ref().is_ok_and(Vec::is_empty);
        self.report
            .check("the database is sound (integrity_check)", is_sound, || {
                format!("{damage:?}")
            });
    }
}

/// Waits until all actors have played; one that panics is a fault of its own.
async fn join(mut actors: tokio::task::JoinSet<()>, stage: &Stage) {
    while let Some(played) = actors.join_next().await {
        stage
            .report
            .check("no actor meets what it can't", played.is_ok(), || format!("{played:?}"));
        // Whoever waits for more to be heard has heard all, when only they are left.
        stage.heard.send_modify(|heard| heard.actors_gone += 1);
    }
}
