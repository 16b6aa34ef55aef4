//! Who does something in a round, each at its own pace, until the sidecar is gone or its part is played.

mod archivist;
mod editor;
mod lurker;
mod pilot;
mod talk;
mod talker;
mod watcher;

use tokio::task::JoinSet;

use super::random::Random;
use super::stage::{Heard, Stage};

/// Talkers that ask the local model; each has a conversation of its own in a round's cast, so that one can be read to its end.
const TALKERS: u64 = 4;

/// Talkers that ask the model server.
const FAR_TALKERS: u64 = 2;

/// Rounds that share their conversations: long enough for trees and long logs, short enough to be read again each time.
const ROUNDS_OF_A_CONVERSATION: u64 = 8;

/// All that are started but the one that only waits for the others.
const BUSY: usize = (TALKERS + FAR_TALKERS) as usize + 4;

/// Whether nothing more comes of the actors.
pub fn have_played(heard: &Heard) -> bool {
    heard.actors_gone >= BUSY
}

/// How the names of a round's talks begin.
pub fn conversations(round: u64) -> String {
    format!("talk-{}-", round / ROUNDS_OF_A_CONVERSATION)
}

/// Starts all actors of a round. `steps` is how much each has to do.
pub fn start(stage: &Stage, random: &Random, steps: u64) -> JoinSet<()> {
    let mut actors = JoinSet::new();
    for number in 0..TALKERS + FAR_TALKERS {
        // A model server that never ends takes its time: fewer turns there.
        let (agent, steps) = if number < TALKERS {
            ("brief", steps)
        } else {
            ("far", steps.div_ceil(2))
        };
        let talker = talker::Talker::new(stage.clone(), random.part(number), number, agent);
        actors.spawn(talker.play(steps));
    }
    actors.spawn(archivist::play(stage.clone(), random.part(100), steps));
    actors.spawn(editor::play(stage.clone(), random.part(101), steps));
    actors.spawn(pilot::play(stage.clone(), random.part(103), steps));
    actors.spawn(watcher::play(stage.clone(), random.part(104), steps));
    actors.spawn(lurker::play(stage.clone(), random.part(102)));
    actors
}
