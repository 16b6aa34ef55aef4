//! One step of the model for all turns at once: who reads how much, and what becomes of it.
//!
//! Every answer that grows reads the token that it chose last. Prompts share what the step has room for beside them, in the order
//! in which they were served last: none is passed over for long, however long another is. So a step's length is bounded, and
//! whoever joins or leaves does so between two steps. It knows no queue, no shelf and no reader.

use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::EngineError;

use super::panicked;
use super::runner::ModelRunner;
use super::turn::{Turn, Wants};
use crate::{LogitsWanted, MAX_CHUNK, SequenceChunk};

/// Tokens of prompts that are read in a step while answers grow: a quarter of the longest chunk, so that their readers wait for
/// some tenths of a second at most.
const SHARED_CHUNK: usize = 128;

/// The turns that take part.
pub(crate) struct Step<'a>(Vec<Share<'a>>);

/// What a turn has of a step.
struct Share<'a> {
    turn: &'a mut Turn,
    /// How many it reads.
    tokens: usize,
    /// Which row of the logits is its own, once they were read, if it wanted any.
    row: Option<usize>,
}

impl<'a> Share<'a> {
    fn new(turn: &'a mut Turn, tokens: usize) -> Self {
        Self {
            turn,
            tokens,
            row: None,
        }
    }
}

impl<'a> Step<'a> {
    /// What the turns read in a round, as far as their readers keep up; of prompts at most `prompt_chunk` tokens.
    pub(crate) fn plan(turns: &'a mut [Turn], round: u64, prompt_chunk: usize) -> Self {
        let (mut shares, mut prompts) = (Vec::new(), Vec::new());
        for turn in turns.iter_mut().filter(|turn| turn.can_step()) {
            match wants(turn) {
                Wants::Token => shares.push(Share::new(turn, 1)),
                Wants::Prompt(tokens) => prompts.push((turn, tokens)),
                Wants::Nothing => {}
            }
        }
        prompts.sort_by_key(|(turn, _)| turn.served_in);
        let room = if shares.is_empty() { MAX_CHUNK } else { SHARED_CHUNK };
        let mut room = room.min(prompt_chunk);
        for (turn, tokens) in prompts {
            let share = room.min(tokens);
            if share > 0 {
                turn.served_in = round;
                shares.push(Share::new(turn, share));
                room -= share;
            }
        }
        Self(shares)
    }

    /// Takes it; whether there was anything to do. If turns can't be read together, each is read alone, so that whatever is
    /// wrong ends the turn that it is wrong with.
    pub(crate) fn take(mut self, machine: &mut ModelRunner) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let positions: Vec<u64> = self.0.iter().map(|share| share.turn.position()).collect();
        match self.read(machine) {
            Ok(()) => self.advance(machine),
            Err(error) if self.0.len() == 1 => self.fail(error),
            Err(error) => {
                tracing::warn!(%error, "a step of several turns failed, and is taken turn by turn");
                for (share, position) in self.0.into_iter().zip(positions) {
                    let rewound = share.turn.rewind(position);
                    let mut alone = Step(vec![share]);
                    match rewound.and_then(|()| alone.read(machine)) {
                        Ok(()) => alone.advance(machine),
                        Err(error) => alone.fail(error),
                    }
                }
            }
        }
        true
    }

    fn read(&mut self, machine: &mut ModelRunner) -> Result<(), EngineError> {
        #[cfg(test)]
        let names: Vec<String> = self.0.iter().map(|share| share.turn.name().to_owned()).collect();
        let mut rows = 0..;
        let chunks = self.0.iter_mut().map(|share| {
            let chunk = share.turn.chunk(share.tokens);
            share.row = (chunk.wanted == LogitsWanted::Last).then(|| rows.next()).flatten();
            chunk
        });
        let mut chunks: Vec<SequenceChunk<'_>> = chunks.collect();
        let read = catch_unwind(AssertUnwindSafe(|| {
            machine.read(&mut chunks)?;
            #[cfg(test)]
            if let Some(hook) = &mut machine.in_step {
                hook(&names.iter().map(String::as_str).collect::<Vec<_>>());
            }
            Ok(())
        }));
        read.unwrap_or_else(|panic| Err(panicked(&*panic)))
    }

    /// Lets each turn go on with what was read.
    fn advance(self, machine: &mut ModelRunner) {
        for Share { turn, tokens, row } in self.0 {
            let advanced = catch_unwind(AssertUnwindSafe(|| turn.advance(tokens, row, machine)));
            if let Err(error) = advanced.unwrap_or_else(|panic| Err(panicked(&*panic))) {
                fail(turn, error);
            }
        }
    }

    fn fail(self, error: EngineError) {
        for share in self.0 {
            fail(share.turn, error.clone());
        }
    }
}

fn wants(turn: &mut Turn) -> Wants {
    let wants = catch_unwind(AssertUnwindSafe(|| turn.wants()));
    wants.unwrap_or_else(|panic| {
        fail(turn, panicked(&*panic));
        Wants::Nothing
    })
}

fn fail(turn: &mut Turn, error: EngineError) {
    tracing::error!(conversation = turn.name(), %error, "a turn failed");
    turn.fail(error);
}
