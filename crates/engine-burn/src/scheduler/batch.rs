//! The batch of one step: which tokens each running sequence reads, and what the model's output does to it.
//!
//! Every growing answer reads the token that was chosen last. Prompts share what the step has room for beside them,
//! least recently scheduled first, so that none starves behind a longer one. The length of a step is therefore bounded,
//! and sequences join and leave between two steps. Knows nothing of queues, caches or clients.

use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::EngineError;

use super::runner::ModelRunner;
use super::sequence::{Pending, Sequence};
use crate::error::panicked;
use crate::{LogitsWanted, MAX_CHUNK, SequenceChunk};

/// Tokens of prompts that are read in a step while answers grow: a quarter of the longest chunk, so that their readers
/// wait for some tenths of a second at most.
const SHARED_CHUNK: usize = 128;

/// The chunks of one step.
pub(crate) struct Batch<'a>(Vec<ScheduledChunk<'a>>);

/// The tokens of one sequence in a step.
struct ScheduledChunk<'a> {
    sequence: &'a mut Sequence,
    /// How many tokens it reads.
    tokens: usize,
    /// The sequence's position before the step.
    start: u64,
    /// Its row of the logits after the model has run; `None` if it wants no logits.
    row: Option<usize>,
}

impl<'a> ScheduledChunk<'a> {
    fn new(sequence: &'a mut Sequence, tokens: usize) -> Self {
        Self {
            start: sequence.position(),
            sequence,
            tokens,
            row: None,
        }
    }
}

impl<'a> Batch<'a> {
    /// Chooses what the sequences read in this step: none whose reader is behind, and at most `prompt_chunk` tokens of
    /// prompts.
    pub(crate) fn schedule(sequences: &'a mut [Sequence], step: u64, prompt_chunk: usize) -> Self {
        let (mut chunks, mut prompts) = (Vec::new(), Vec::new());
        for sequence in sequences.iter_mut().filter(|sequence| sequence.can_step()) {
            match sequence.pending() {
                Pending::Token => chunks.push(ScheduledChunk::new(sequence, 1)),
                Pending::Prompt(tokens) => prompts.push((sequence, tokens)),
                Pending::Nothing => {}
            }
        }
        prompts.sort_by_key(|(sequence, _)| sequence.last_scheduled_step);
        let room = if chunks.is_empty() { MAX_CHUNK } else { SHARED_CHUNK };
        let mut room = room.min(prompt_chunk);
        for (sequence, tokens) in prompts {
            let tokens = room.min(tokens);
            if tokens > 0 {
                sequence.last_scheduled_step = step;
                chunks.push(ScheduledChunk::new(sequence, tokens));
                room -= tokens;
            }
        }
        Self(chunks)
    }

    /// Returns true if no sequence has anything to read.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Runs the model over all chunks.
    ///
    /// # Errors
    /// Those of the model, for the whole batch; a panic is one too. The sequences must then be rewound or failed.
    pub(crate) fn execute(&mut self, runner: &mut ModelRunner) -> Result<(), EngineError> {
        if self.is_empty() {
            return Ok(());
        }
        #[cfg(test)]
        let names: Vec<String> = self.0.iter().map(|chunk| chunk.sequence.name().to_owned()).collect();
        let mut rows = 0..;
        let chunks = self.0.iter_mut().map(|scheduled| {
            let chunk = scheduled.sequence.chunk(scheduled.tokens);
            scheduled.row = (chunk.wanted == LogitsWanted::Last).then(|| rows.next()).flatten();
            chunk
        });
        let mut chunks: Vec<SequenceChunk<'_>> = chunks.collect();
        let read = catch_unwind(AssertUnwindSafe(|| {
            runner.read(&mut chunks)?;
            #[cfg(test)]
            if let Some(hook) = &mut runner.in_step {
                hook(&names.iter().map(String::as_str).collect::<Vec<_>>());
            }
            Ok(())
        }));
        read.unwrap_or_else(|panic| Err(panicked(&*panic)))
    }

    /// Updates every sequence from the output of the model.
    pub(crate) fn update_from_output(self, runner: &mut ModelRunner) {
        for ScheduledChunk {
            sequence, tokens, row, ..
        } in self.0
        {
            let advanced = catch_unwind(AssertUnwindSafe(|| sequence.advance(tokens, row, runner)));
            if let Err(error) = advanced.unwrap_or_else(|panic| Err(panicked(&*panic))) {
                fail(sequence, error);
            }
        }
    }

    /// Handles an error of the whole batch: rewinds the sequences and runs each on its own, so that only the ones with
    /// the error fail.
    pub(crate) fn execute_one_by_one(mut self, error: EngineError, runner: &mut ModelRunner) {
        if let [only] = &mut self.0[..] {
            return fail(only.sequence, error);
        }
        tracing::warn!(%error, "a step of several turns failed, and is taken turn by turn");
        for chunk in self.0 {
            let rewound = chunk.sequence.rewind(chunk.start);
            let mut alone = Batch(vec![chunk]);
            match rewound.and_then(|()| alone.execute(runner)) {
                Ok(()) => alone.update_from_output(runner),
                Err(error) => alone
                    .0
                    .into_iter()
                    .for_each(|chunk| fail(chunk.sequence, error.clone())),
            }
        }
    }
}

/// Ends the answers that their readers have cancelled; those whose reader is behind, in a later step.
pub(crate) fn end_cancelled(sequences: &mut [Sequence]) {
    for sequence in sequences.iter_mut().filter(|sequence| sequence.can_step()) {
        let ended = catch_unwind(AssertUnwindSafe(|| sequence.end_if_cancelled()));
        if let Err(panic) = ended {
            fail(sequence, panicked(&*panic));
        }
    }
}

fn fail(sequence: &mut Sequence, error: EngineError) {
    tracing::error!(conversation = sequence.name(), %error, "a turn failed");
    sequence.fail(error);
}
