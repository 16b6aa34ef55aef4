//! One turn that runs: prefill, decode, and how it ends.
//!
//! A turn owns its conversation while it runs. It moves on by steps of bounded work, each of which leaves events to be sent;
//! it never waits for its reader. However it ends, the cache is left at the longest part of the stream that it holds, and
//! what the stream has beyond it is noted as unfed.

mod answer;
mod clock;

use std::collections::VecDeque;
use std::slice;
use std::time::Instant;

use engine::{Emitter, EngineError, EngineEvent, FinishReason, Finished, NotSent, Options, Started, TurnTag, Usage};

use super::admission::Place;
use super::conversation::{Checkpoint, Conversation, Departure, RecentIds};
use super::runner::ModelRunner;
use super::shared::{Job, Shared};
use super::told::Told;
use crate::detokenizer::Piece;
use crate::sampler::Draw;
use crate::{LogitsWanted, SequenceChunk};
use answer::Answer;
use clock::Clock;

/// See the module.
#[derive(Debug)]
pub(crate) struct Turn {
    name: String,
    tag: TurnTag,
    emitter: Emitter,
    told: Told,
    options: Options,
    seed: u64,
    conversation: Conversation,
    /// What its keys and values take when the answer is as long as it may get.
    most_cache_bytes: usize,
    /// Whether the conversation is whole and may go on.
    is_sound: bool,
    /// Where to go back to when the reader drops the turn; `None` for the first turn of an epoch.
    checkpoint: Option<Checkpoint>,
    prompt: Vec<u32>,
    /// The position after the prompt.
    prompt_end: u64,
    phase: Phase,
    answer: Answer,
    recent: RecentIds,
    /// Tokens that had left the view before the turn.
    evicted_before: u64,
    usage: Usage,
    clock: Clock,
    /// The round in which it began, or in which a part of its prompt was read last.
    pub(crate) served_in: u64,
    /// What happened and is not sent yet: the events of one step at most.
    outbox: VecDeque<EngineEvent>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Reading the prompt, of which so many tokens are read.
    Prefill { fed: usize },
    /// The token was chosen and is to be read next.
    Decode { token: u32 },
    /// Only the outbox is left.
    Ended,
}

/// What a turn would read in its next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    /// So much of its prompt is left.
    Prompt(usize),
    /// The token that was chosen last.
    Token,
    /// It has ended.
    Nothing,
}

/// How far sending got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Everything is sent; the turn may go on.
    Sent,
    /// The reader is behind.
    Full,
    /// Everything is sent, the end too.
    Finished,
    /// The reader is gone.
    Dropped,
}

impl Turn {
    /// A turn that begins now, in that round of the worker's.
    pub(crate) fn new(job: Job, place: Place, machine: &ModelRunner, round: u64) -> Self {
        let Job {
            request,
            emitter,
            asked_at,
            told,
        } = job;
        let Place {
            mut conversation,
            prompt,
            checkpoint,
            tag,
        } = place;
        let sink_window = conversation.policy.sink_window();
        let usage = Usage {
            prompt_tokens: prompt.ids.len() as u64,
            cached_tokens: conversation.tokens_in_view(),
            sink_tokens: sink_window.sinks(),
            window_tokens: sink_window.window(),
            context_limit: machine.context_tokens(),
            ..Usage::default()
        };
        let started = Started {
            prompt_tokens: usage.prompt_tokens,
            cached_tokens: usage.cached_tokens,
            sink_tokens: usage.sink_tokens,
            window_tokens: usage.window_tokens,
            epoch: conversation.epoch,
        };
        conversation.begin(&prompt);
        let prompt_end = conversation.cache.position() + usage.prompt_tokens;
        let longest = prompt_end + u64::from(request.options.max_new_tokens);
        Self {
            name: request.conversation,
            tag,
            emitter,
            told,
            most_cache_bytes: conversation.cache.bytes_at(longest),
            seed: request.seed,
            is_sound: true,
            checkpoint,
            prompt_end,
            prompt: prompt.ids,
            phase: Phase::Prefill { fed: 0 },
            answer: Answer::new(&request.options),
            recent: conversation.ledger.recent.clone(),
            evicted_before: conversation.ledger.evicted_tokens,
            options: request.options,
            conversation,
            usage,
            clock: Clock::new(asked_at, Instant::now()),
            served_in: round,
            outbox: VecDeque::from([EngineEvent::Started(started)]),
        }
    }

    /// The conversation's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its conversation, as far as it has come.
    pub(crate) fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// Bytes of its keys and values at the most.
    pub(crate) fn most_cache_bytes(&self) -> usize {
        self.most_cache_bytes
    }

    /// Tells its reader, who was told nothing of it yet, how many turns must end before it begins.
    pub(crate) fn tell_ahead(&mut self, ahead: usize) {
        self.told.tell(&self.emitter, ahead);
    }

    /// Begins only now, after it had to wait.
    pub(crate) fn begin(&mut self) {
        self.clock.begin(Instant::now());
    }

    /// Whether the next step can be taken: nothing waits for the reader.
    pub(crate) fn can_step(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Whether nothing has gone wrong with its conversation, and it is not to be forgotten.
    pub(crate) fn is_sound(&self) -> bool {
        self.is_sound
    }

    /// Keeps nothing of the conversation when the turn is over.
    pub(crate) fn forget(&mut self) {
        self.is_sound = false;
    }

    /// What it would read next; an answer that was stopped by its reader ends here.
    pub(crate) fn wants(&mut self) -> Wants {
        if self.emitter.is_cancelled() && !matches!(self.phase, Phase::Ended) {
            self.end(FinishReason::Cancelled);
        }
        match self.phase {
            Phase::Prefill { fed } => Wants::Prompt(self.prompt.len() - fed),
            Phase::Decode { .. } => Wants::Token,
            Phase::Ended => Wants::Nothing,
        }
    }

    /// The next `tokens` to be read, not more than it wants; then [`Turn::advance`] follows.
    pub(crate) fn chunk(&mut self, tokens: usize) -> SequenceChunk<'_> {
        let (ids, is_last) = match &self.phase {
            Phase::Prefill { fed } => (&self.prompt[*fed..fed + tokens], fed + tokens == self.prompt.len()),
            Phase::Decode { token } => (slice::from_ref(token), true),
            Phase::Ended => (&[][..], false),
        };
        SequenceChunk {
            cache: &mut self.conversation.cache,
            ids,
            wanted: if is_last {
                LogitsWanted::Last
            } else {
                LogitsWanted::None
            },
        }
    }

    /// Goes on after its chunk of `tokens` was read: with logits, its answer grows by a token, chosen from that `row` of them.
    ///
    /// # Errors
    /// Whatever the sampler says; then only [`Turn::fail`] may follow.
    pub(crate) fn advance(
        &mut self,
        tokens: usize,
        row: Option<usize>,
        machine: &mut ModelRunner,
    ) -> Result<(), EngineError> {
        if let Phase::Prefill { fed } = &mut self.phase {
            *fed += tokens;
        }
        self.tell_departure(false);
        match row {
            Some(row) => self.grow(row, machine),
            None => Ok(()),
        }
    }

    /// Tokens that its cache has read.
    pub(crate) fn position(&self) -> u64 {
        self.conversation.cache.position()
    }

    /// Takes its cache back to what it had read before a step that failed.
    ///
    /// # Errors
    /// When it has overwritten what it would need.
    pub(crate) fn rewind(&mut self, position: u64) -> Result<(), EngineError> {
        let rewound = self.conversation.cache.rewind(position);
        rewound.map_err(|error| EngineError::Internal {
            reason: error.to_string(),
        })
    }

    /// Ends the turn with an error, and the conversation with it; a turn that has ended already stays as it is.
    pub(crate) fn fail(&mut self, error: EngineError) {
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        self.is_sound = false;
        self.phase = Phase::Ended;
        self.outbox.push_back(EngineEvent::Failed(error));
    }

    /// Sends what waits to be sent, as far as there is room. Whatever the last event promises is true before it is sent.
    pub(crate) fn deliver(&mut self, shared: &Shared) -> Delivery {
        while let Some(event) = self.outbox.pop_front() {
            if self.emitter.is_closed() {
                return Delivery::Dropped;
            }
            // Only this thread sends, so what fits now still fits below.
            if self.emitter.capacity() == 0 {
                self.outbox.push_front(event);
                return Delivery::Full;
            }
            if matches!(event, EngineEvent::Finished(_) | EngineEvent::Failed(_)) {
                self.announce(shared);
            }
            match self.emitter.try_send(event) {
                Ok(()) => {}
                Err(NotSent::Full(event)) => {
                    self.outbox.push_front(*event);
                    return Delivery::Full;
                }
                Err(NotSent::Closed) => return Delivery::Dropped,
            }
        }
        match self.phase {
            Phase::Ended => Delivery::Finished,
            Phase::Prefill { .. } | Phase::Decode { .. } if self.emitter.is_closed() => Delivery::Dropped,
            Phase::Prefill { .. } | Phase::Decode { .. } => Delivery::Sent,
        }
    }

    /// The conversation after the turn, if it may go on.
    pub(crate) fn into_conversation(self) -> Option<Conversation> {
        self.is_sound.then_some(self.conversation)
    }

    /// The conversation as it was before the turn, if the cache still holds that.
    pub(crate) fn into_conversation_before(self) -> Option<Conversation> {
        let checkpoint = self.checkpoint.filter(|_| self.is_sound)?;
        self.conversation.restored(checkpoint)
    }

    fn announce(&self, shared: &Shared) {
        if self.is_sound {
            shared.set_cached(&self.name, self.tag);
        } else {
            shared.set_gone(&self.name);
        }
    }

    /// Chooses the next token and adds it to the answer.
    fn grow(&mut self, row: usize, machine: &mut ModelRunner) -> Result<(), EngineError> {
        let draw = Draw {
            seed: self.seed,
            token_idx: self.answer.generated_tokens() as u64,
        };
        let token = machine.choose(row, &self.options, self.recent.as_slice(), draw)?;
        self.clock.token(Instant::now());
        if machine.is_stop(token) {
            self.end(FinishReason::Stop);
            return Ok(());
        }
        self.recent.extend(&[token]);
        let grown = self.answer.push(token, machine.format());
        self.send(grown.piece);
        let is_long = self.answer.generated_tokens() >= self.options.max_new_tokens as usize;
        let is_full = self
            .conversation
            .max_tokens()
            .is_some_and(|max| self.conversation.cache.position() >= max);
        if grown.is_stopped {
            self.end(FinishReason::Stop);
        } else if is_long || is_full {
            self.end(FinishReason::Length);
        } else {
            self.phase = Phase::Decode { token };
        }
        Ok(())
    }

    /// Ends the answer as it is, and leaves the conversation ready for its next turn.
    fn end(&mut self, reason: FinishReason) {
        let held = self.answer.finish();
        self.send(held);
        self.settle_cache();
        self.tell_departure(true);
        self.phase = Phase::Ended;
        self.usage.completion_tokens = self.answer.generated_tokens() as u64;
        self.usage.evicted_tokens = self.conversation.ledger.evicted_tokens - self.evicted_before;
        self.outbox.push_back(EngineEvent::Finished(Finished {
            reason,
            answer_ids: self.answer.ids().to_vec(),
            usage: self.usage,
            timings: self.clock.timings(Instant::now()),
        }));
    }

    /// Takes the cache back to what it shares with the stream, and notes what the stream has beyond it.
    fn settle_cache(&mut self) {
        let position = self.conversation.cache.position();
        let answer_fed = usize::try_from(position.saturating_sub(self.prompt_end)).expect("an answer fits in memory");
        let kept = self.answer.kept_tokens(answer_fed);
        if kept < answer_fed && self.conversation.cache.rewind(self.prompt_end + kept as u64).is_err() {
            self.is_sound = false;
        }
        let prompt_left = usize::try_from(self.prompt_end.saturating_sub(position)).expect("a prompt fits in memory");
        let ledger = &mut self.conversation.ledger;
        ledger.unfed = self.prompt[self.prompt.len() - prompt_left..].to_vec();
        ledger.unfed.extend_from_slice(&self.answer.ids()[kept..]);
        ledger.recent.extend(self.answer.ids());
        ledger.last = self.tag;
    }

    fn send(&mut self, piece: Option<Piece>) {
        if let Some(Piece { text, ids }) = piece {
            self.outbox.push_back(EngineEvent::Token { text, ids });
        }
    }

    /// Tells what has left the view for good, also if the answer is taken back to what was sent: whenever a whole turn has
    /// gone, and all of it at the end.
    fn tell_departure(&mut self, is_end: bool) {
        let certain = self
            .conversation
            .cache
            .position()
            .min(self.prompt_end + self.answer.ids().len() as u64);
        let Conversation { ledger, policy, .. } = &mut self.conversation;
        if let Some(Departure { tokens, through }) = ledger.take_departure(policy.sink_window(), certain, is_end) {
            self.outbox.push_back(EngineEvent::Evicted { tokens, through });
        }
    }
}
