//! One running sequence: the prompt that the model reads, the answer that grows, and how it ends.
//!
//! A sequence owns its conversation while it runs. It advances by steps of bounded work, each of which leaves events to
//! be sent; it never waits for its reader. However it ends, the cache is left at the longest prefix of the stream that
//! it holds, and the ids behind that prefix are kept as pending.

mod answer;
mod clock;
mod outbox;

use std::slice;
use std::time::Instant;

use engine::{EngineError, EngineEvent, FinishReason, Finished, Options, Started, TurnTag, Usage};

use super::admission::Admission;
use super::queue::QueuedRequest;
use super::runner::ModelRunner;
use crate::cache_index::CacheIndex;
use crate::conversation::{Conversation, Eviction, RecentIds, RewindPoint};
use crate::prompt::Prompt;
use crate::sampler::Draw;
use crate::{LogitsWanted, SequenceChunk};
use answer::AnswerBuffer;
use clock::Clock;
use outbox::{Outbox, Sending};

/// An admitted request from its first token to its last event.
#[derive(Debug)]
pub(crate) struct Sequence {
    name: String,
    tag: TurnTag,
    options: Options,
    seed: u64,
    conversation: Conversation,
    /// Bytes of keys and values if the answer gets as long as it may.
    max_cache_bytes: usize,
    /// False once the conversation can't be continued from: the sequence has failed, or is to be forgotten.
    is_reusable: bool,
    /// The state before the turn, for when the reader drops it; `None` for the first turn of an epoch.
    rewind_point: Option<RewindPoint>,
    prompt: Vec<u32>,
    /// The position after the prompt.
    prompt_end: u64,
    phase: Phase,
    answer: AnswerBuffer,
    recent: RecentIds,
    /// Tokens that had left the view before the turn.
    evicted_before: u64,
    usage: Usage,
    clock: Clock,
    /// The step in which it was admitted, or in which a part of its prompt was read last.
    pub(crate) last_scheduled_step: u64,
    outbox: Outbox,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Reads the prompt, of which `computed_tokens` are in the cache.
    Prefill { computed_tokens: usize },
    /// Reads the token that was chosen last.
    Decode { token: u32 },
    /// Has events to send, and nothing to read.
    Ended,
}

/// The tokens that a sequence has to read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    /// The rest of its prompt, of this many tokens.
    Prompt(usize),
    /// The token that was chosen last.
    Token,
    /// Nothing; it has ended.
    Nothing,
}

/// The result of sending a sequence's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// All events are sent; the sequence may advance.
    Sent,
    /// The reader's channel is full.
    Full,
    /// All events are sent, the last one of the answer too.
    Finished,
    /// The reader has dropped the answer.
    Dropped,
}

impl Sequence {
    /// Makes the sequence of a request that was admitted in `step`.
    pub(crate) fn new(request: QueuedRequest, admission: Admission, runner: &ModelRunner, step: u64) -> Self {
        let QueuedRequest {
            request,
            emitter,
            submitted_at,
            position,
        } = request;
        let Admission {
            mut conversation,
            prompt,
            rewind_point,
            tag,
        } = admission;
        let usage = usage_at_start(&conversation, &prompt, runner);
        let mut outbox = Outbox::new(emitter, position);
        outbox.push(EngineEvent::Started(Started {
            prompt_tokens: usage.prompt_tokens,
            cached_tokens: usage.cached_tokens,
            sink_tokens: usage.sink_tokens,
            window_tokens: usage.window_tokens,
            epoch: conversation.epoch,
        }));
        conversation.begin(&prompt);
        let prompt_end = conversation.cache.position() + usage.prompt_tokens;
        let longest = prompt_end + u64::from(request.options.max_new_tokens);
        Self {
            name: request.conversation,
            tag,
            max_cache_bytes: conversation.cache.bytes_at(longest),
            seed: request.seed,
            is_reusable: true,
            rewind_point,
            prompt_end,
            prompt: prompt.ids,
            phase: Phase::Prefill { computed_tokens: 0 },
            answer: AnswerBuffer::new(&request.options),
            recent: conversation.stream.recent.clone(),
            evicted_before: conversation.stream.evicted_tokens,
            options: request.options,
            conversation,
            usage,
            clock: Clock::new(submitted_at, Instant::now()),
            last_scheduled_step: step,
            outbox,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// Returns the most bytes that its keys and values may come to take.
    pub(crate) fn max_cache_bytes(&self) -> usize {
        self.max_cache_bytes
    }

    /// Reports to the reader how many sequences must end before this one begins.
    pub(crate) fn report_queue_position(&mut self, ahead: usize) {
        self.outbox.report_queue_position(ahead);
    }

    /// Starts the clock again, after the sequence had to wait for memory.
    pub(crate) fn begin(&mut self) {
        self.clock.begin(Instant::now());
    }

    /// Returns true if the next step can be taken: no event waits for the reader.
    pub(crate) fn can_step(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Returns true if a next turn may continue from the conversation: nothing has failed, and it isn't to be
    /// forgotten.
    pub(crate) fn is_reusable(&self) -> bool {
        self.is_reusable
    }

    /// Lets the conversation be discarded when the sequence ends.
    pub(crate) fn forget(&mut self) {
        self.is_reusable = false;
    }

    /// Ends the answer if its reader has cancelled it.
    pub(crate) fn end_if_cancelled(&mut self) {
        if self.outbox.is_cancelled() && !matches!(self.phase, Phase::Ended) {
            self.end(FinishReason::Cancelled);
        }
    }

    /// Returns what it has to read next.
    pub(crate) fn pending(&self) -> Pending {
        match self.phase {
            Phase::Prefill { computed_tokens } => Pending::Prompt(self.prompt.len() - computed_tokens),
            Phase::Decode { .. } => Pending::Token,
            Phase::Ended => Pending::Nothing,
        }
    }

    /// Returns the next `tokens` to be read, at most those pending; [`Sequence::advance`] must follow.
    pub(crate) fn chunk(&mut self, tokens: usize) -> SequenceChunk<'_> {
        let (ids, is_last) = match &self.phase {
            Phase::Prefill { computed_tokens } => {
                let end = computed_tokens + tokens;
                (&self.prompt[*computed_tokens..end], end == self.prompt.len())
            }
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

    /// Updates the sequence after its chunk of `tokens` was read. With a `row` of logits, the next token is chosen from
    /// it and added to the answer.
    ///
    /// # Errors
    /// Those of the sampler; then only [`Sequence::fail`] may follow.
    pub(crate) fn advance(
        &mut self,
        tokens: usize,
        row: Option<usize>,
        runner: &mut ModelRunner,
    ) -> Result<(), EngineError> {
        if let Phase::Prefill { computed_tokens } = &mut self.phase {
            *computed_tokens += tokens;
        }
        self.report_eviction(false);
        match row {
            Some(row) => self.append_token(row, runner),
            None => Ok(()),
        }
    }

    pub(crate) fn position(&self) -> u64 {
        self.conversation.cache.position()
    }

    /// Takes its cache back to `position`, which it had before a step that failed.
    ///
    /// # Errors
    /// [`EngineError::Internal`] if the cache has overwritten what it would need.
    pub(crate) fn rewind(&mut self, position: u64) -> Result<(), EngineError> {
        let rewound = self.conversation.cache.rewind(position);
        rewound.map_err(|error| EngineError::Internal {
            reason: error.to_string(),
        })
    }

    /// Ends the sequence with an error, and its conversation too. One that has ended already is left unchanged.
    pub(crate) fn fail(&mut self, error: EngineError) {
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        self.is_reusable = false;
        self.phase = Phase::Ended;
        self.outbox.push(EngineEvent::Failed(error));
    }

    /// Sends the events that the channel has room for. The index has the new end of the conversation before the last
    /// event is sent, so that a reader of that event can rely on it.
    pub(crate) fn deliver(&mut self, index: &CacheIndex) -> Delivery {
        let publish = || {
            if self.is_reusable {
                index.end(&self.name, self.tag);
            }
        };
        match (self.outbox.send(publish), self.phase) {
            (Sending::Closed, _) => Delivery::Dropped,
            (Sending::Full, _) => Delivery::Full,
            (Sending::Done, Phase::Ended) => Delivery::Finished,
            (Sending::Done, Phase::Prefill { .. } | Phase::Decode { .. }) if self.outbox.is_closed() => {
                Delivery::Dropped
            }
            (Sending::Done, Phase::Prefill { .. } | Phase::Decode { .. }) => Delivery::Sent,
        }
    }

    /// Returns the conversation after the turn, if it is reusable.
    pub(crate) fn into_conversation(self) -> Option<Conversation> {
        self.is_reusable.then_some(self.conversation)
    }

    /// Returns the conversation as it was before the turn, if it is reusable and the cache still holds that state.
    pub(crate) fn into_conversation_before_turn(self) -> Option<Conversation> {
        let rewind_point = self.rewind_point.filter(|_| self.is_reusable)?;
        self.conversation.rewound_to(rewind_point)
    }

    /// Chooses the next token and adds it to the answer.
    fn append_token(&mut self, row: usize, runner: &mut ModelRunner) -> Result<(), EngineError> {
        let draw = Draw {
            seed: self.seed,
            token_idx: self.answer.generated_tokens() as u64,
        };
        let token = runner.choose(row, &self.options, self.recent.as_slice(), draw)?;
        self.clock.token(Instant::now());
        if runner.is_stop(token) {
            self.end(FinishReason::Stop);
            return Ok(());
        }
        self.recent.extend(&[token]);
        let appended = self.answer.push(token, runner.format());
        self.outbox.push_piece(appended.piece);
        let is_long = self.answer.generated_tokens() >= self.options.max_new_tokens as usize;
        let is_full = self
            .conversation
            .max_tokens()
            .is_some_and(|max| self.conversation.cache.position() >= max);
        if appended.is_stopped {
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
        self.outbox.push_piece(self.answer.finish());
        self.settle_cache();
        self.report_eviction(true);
        self.phase = Phase::Ended;
        self.usage.completion_tokens = self.answer.generated_tokens() as u64;
        self.usage.evicted_tokens = self.conversation.stream.evicted_tokens - self.evicted_before;
        self.outbox.push(EngineEvent::Finished(Finished {
            reason,
            answer_ids: self.answer.ids().to_vec(),
            usage: self.usage,
            timings: self.clock.timings(Instant::now()),
        }));
    }

    /// Takes the cache back to the prefix that it shares with the stream, and keeps the ids behind it as pending.
    fn settle_cache(&mut self) {
        let position = self.conversation.cache.position();
        let computed = usize::try_from(position.saturating_sub(self.prompt_end)).expect("an answer fits in memory");
        let kept = self.answer.kept_tokens(computed);
        if kept < computed && self.conversation.cache.rewind(self.prompt_end + kept as u64).is_err() {
            self.is_reusable = false;
        }
        let prompt_left = usize::try_from(self.prompt_end.saturating_sub(position)).expect("a prompt fits in memory");
        let stream = &mut self.conversation.stream;
        stream.pending_ids = self.prompt[self.prompt.len() - prompt_left..].to_vec();
        stream.pending_ids.extend_from_slice(&self.answer.ids()[kept..]);
        stream.recent.extend(self.answer.ids());
        stream.last = self.tag;
    }

    /// Reports what has left the view for good, even if the answer is cut back to what was sent: whenever a whole turn
    /// is out of view, and at the end.
    fn report_eviction(&mut self, is_end: bool) {
        let certain = self
            .conversation
            .cache
            .position()
            .min(self.prompt_end + self.answer.ids().len() as u64);
        let Conversation { stream, policy, .. } = &mut self.conversation;
        if let Some(Eviction { tokens, through }) = stream.take_eviction(policy.sink_window(), certain, is_end) {
            self.outbox.push(EngineEvent::Evicted { tokens, through });
        }
    }
}

/// Returns the counts that are known before the first step.
fn usage_at_start(conversation: &Conversation, prompt: &Prompt, runner: &ModelRunner) -> Usage {
    let sink_window = conversation.policy.sink_window();
    Usage {
        prompt_tokens: prompt.ids.len() as u64,
        cached_tokens: conversation.tokens_in_view(),
        sink_tokens: sink_window.sinks(),
        window_tokens: sink_window.window(),
        context_limit: runner.context_tokens(),
        ..Usage::default()
    }
}
