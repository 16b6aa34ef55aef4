//! An engine that answers from a script, for tests and for measuring everything around a model.
//!
//! It needs no model, generates the same tokens for the same request, and can be held before every token, so that a
//! test decides when an answer goes on. It implements [`Engine::cached_through`] as the real engine does.

mod by_message;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::{
    ContextPolicy, Emitter, Engine, EngineError, EngineEvent, FinishReason, Finished, Generation, ModelInfo, Readiness,
    RenderedPrompt, Request, Role, Span, SpanKind, Started, Timings, ToolCall, TurnTag, Usage, channel,
};

/// Capacity of the channel between an answer and its reader; small, so that tests meet a full channel.
const CHANNEL_EVENTS: usize = 16;

/// How often a held answer checks whether it was cancelled.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The content of one answer of a [`ScriptedEngine`].
#[derive(Debug, Clone, PartialEq)]
pub enum Script {
    /// These tokens, then the end.
    Tokens(Vec<String>),
    /// These tokens, then this error.
    Fails(Vec<String>, EngineError),
    /// This error before any other event.
    Refuses(EngineError),
    /// This reasoning, then these tokens.
    Thinks(String, Vec<String>),
    /// These tokens, then these calls of tools.
    Calls(Vec<String>, Vec<ToolCall>),
    /// These tokens, and no end until the answer is cancelled.
    Holds(Vec<String>),
    /// The eviction of this many tokens, then these tokens.
    Evicts(u64, Vec<String>),
    /// `echo: ` and the user's message, word by word.
    Echo,
}

/// Answers from a script, with one thread for each answer. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct ScriptedEngine {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct State {
    scripts: VecDeque<Script>,
    requests: Vec<Request>,
    /// The last answered turn of each conversation.
    cached: HashMap<String, TurnTag>,
    /// The first turn of each conversation's epoch.
    epochs: HashMap<String, TurnTag>,
    /// How many tokens may still be sent; `None` if answers aren't held.
    permits: Option<u64>,
    /// True if messages choose the answers once the scripts are used up.
    reads_messages: bool,
}

impl ScriptedEngine {
    /// Creates an engine that gives these answers in order, and then echoes.
    #[must_use]
    pub fn new(scripts: impl IntoIterator<Item = Script>) -> Self {
        let engine = Self::default();
        engine.lock().scripts.extend(scripts);
        engine
    }

    /// Holds every answer before each of its tokens until [`ScriptedEngine::release`].
    #[must_use]
    pub fn held(self) -> Self {
        self.lock().permits = Some(0);
        self
    }

    /// Lets messages choose the answers once the scripts are used up: `/hold WORDS`, `/fail CODE WORDS`,
    /// `/think THOUGHT WORDS`, `/evict NUMBER WORDS` and `/tool NAME ARGUMENTS`. Every other message is echoed.
    #[must_use]
    pub fn by_message(self) -> Self {
        self.lock().reads_messages = true;
        self
    }

    /// Lets `tokens` more tokens through, over all held answers.
    pub fn release(&self, tokens: u64) {
        if let Some(permits) = &mut self.lock().permits {
            *permits = permits.saturating_add(tokens);
        }
        self.shared.released.notify_all();
    }

    /// Returns all requests so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for ScriptedEngine {
    fn model(&self) -> ModelInfo {
        ModelInfo {
            name: "scripted".to_owned(),
            fingerprint: "scripted-1".to_owned(),
            context_tokens: 8_192,
            sink_tokens: 4,
            window_tokens: 2_048,
            context: ContextPolicy::Rolling,
            tools: true,
        }
    }

    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    fn generate(&self, request: Request) -> Result<Generation, EngineError> {
        let (emitter, generation) = channel(CHANNEL_EVENTS);
        let script = {
            let mut state = self.lock();
            state.requests.push(request.clone());
            // The output of a tool is no command.
            let user_message = request.messages.last().filter(|last| last.role == Role::User);
            let chosen = user_message
                .filter(|_| state.reads_messages)
                .map(|last| by_message::script(&last.text));
            state.scripts.pop_front().or(chosen).unwrap_or(Script::Echo)
        };
        let engine = self.clone();
        thread::Builder::new()
            .name("scripted-answer".to_owned())
            .spawn(move || {
                // A dropped reader has dropped the turn; the script has nothing to undo.
                let _reader_dropped = engine.answer(&request, script, &emitter);
            })
            .map_err(|error| EngineError::Internal {
                reason: error.to_string(),
            })?;
        Ok(generation)
    }

    fn cached_through(&self, conversation: &str) -> Option<TurnTag> {
        self.lock().cached.get(conversation).copied()
    }

    fn forget(&self, conversation: &str) {
        self.lock().cached.remove(conversation);
    }

    /// Renders each part as its text and a line feed; each character is a token, with its code point as the id.
    fn render(&self, request: &Request) -> Result<RenderedPrompt, EngineError> {
        let mut rendered = RenderedPrompt {
            text: String::new(),
            ids: Vec::new(),
            spans: Vec::new(),
        };
        let pinned = request.system.iter().filter(|_| request.continues_from.is_none());
        let system = pinned.map(|text| (SpanKind::System, None, text));
        let messages = request.messages.iter().map(|message| {
            let kind = match message.role {
                Role::User => SpanKind::User,
                Role::Assistant { .. } => SpanKind::Assistant,
                Role::Tool { .. } => SpanKind::Tool,
            };
            (kind, Some(message.tag), &message.text)
        });
        for (kind, tag, text) in system.chain(messages) {
            let start = rendered.ids.len();
            rendered.text.push_str(text);
            rendered.text.push('\n');
            rendered.ids.extend(text.chars().chain(['\n']).map(u32::from));
            rendered.spans.push(Span {
                tokens: start..rendered.ids.len(),
                kind,
                tag,
            });
        }
        Ok(rendered)
    }
}

impl ScriptedEngine {
    fn answer(&self, request: &Request, script: Script, emitter: &Emitter) -> Result<(), crate::SendError> {
        let Some(last) = request.messages.last() else {
            let error = EngineError::InvalidRequest {
                reason: "a request needs a message".to_owned(),
            };
            return emitter.blocking_send(EngineEvent::Failed(error));
        };
        if let Some(tag) = request.continues_from
            && self.cached_through(&request.conversation) != Some(tag)
        {
            return emitter.blocking_send(EngineEvent::Failed(EngineError::NotCached { tag }));
        }
        let Steps {
            thought,
            evicts,
            tokens,
            holds,
            error,
            calls,
        } = match Steps::of(script, &last.text) {
            Ok(steps) => steps,
            Err(error) => return emitter.blocking_send(EngineEvent::Failed(error)),
        };
        let epoch = self.epoch(request);
        emitter.blocking_send(EngineEvent::Started(self.started(request, epoch)))?;
        if let Some(text) = thought {
            emitter.blocking_send(EngineEvent::Reasoning { text })?;
        }
        if let Some(tokens) = evicts {
            emitter.blocking_send(EngineEvent::Evicted { tokens, through: None })?;
        }
        let (mut reason, ids) = self.stream(&tokens, request, emitter)?;
        if holds && reason == FinishReason::Stop {
            self.wait_for_cancel(emitter);
            reason = FinishReason::Cancelled;
        }
        if reason == FinishReason::Stop {
            if let Some(error) = error {
                self.forget(&request.conversation);
                return emitter.blocking_send(EngineEvent::Failed(error));
            }
            for call in calls {
                emitter.blocking_send(EngineEvent::ToolCall(call))?;
            }
        }
        self.lock().cached.insert(request.conversation.clone(), last.tag);
        let usage = Usage {
            completion_tokens: ids.len() as u64,
            context_limit: self.model().context_tokens,
            ..Usage::default()
        };
        emitter.blocking_send(EngineEvent::Finished(Finished {
            reason,
            answer_ids: ids,
            usage,
            timings: Timings::default(),
        }))
    }

    /// Returns the first turn of the request's epoch: as before if it continues, otherwise its first message's.
    fn epoch(&self, request: &Request) -> TurnTag {
        let first = request.messages.first().map_or(TurnTag(0), |message| message.tag);
        let mut state = self.lock();
        match (request.continues_from, state.epochs.get(&request.conversation)) {
            (Some(_), Some(epoch)) => *epoch,
            _ => {
                state.epochs.insert(request.conversation.clone(), first);
                first
            }
        }
    }

    fn started(&self, request: &Request, epoch: TurnTag) -> Started {
        let prompt_tokens = request
            .messages
            .iter()
            .map(|message| message.text.split_whitespace().count() as u64)
            .sum();
        let model = self.model();
        Started {
            prompt_tokens,
            cached_tokens: 0,
            sink_tokens: model.sink_tokens,
            window_tokens: model.window_tokens,
            epoch,
        }
    }

    /// Sends the tokens, up to the request's limit; returns why it stopped and the ids sent. Token `i` has the id `i`.
    fn stream(
        &self,
        tokens: &[String],
        request: &Request,
        emitter: &Emitter,
    ) -> Result<(FinishReason, Vec<u32>), crate::SendError> {
        let mut ids = Vec::new();
        for text in tokens {
            if ids.len() >= request.options.max_new_tokens as usize {
                return Ok((FinishReason::Length, ids));
            }
            self.wait_for_permit(emitter);
            if emitter.is_cancelled() {
                return Ok((FinishReason::Cancelled, ids));
            }
            let id = u32::try_from(ids.len()).unwrap_or(u32::MAX);
            emitter.blocking_send(EngineEvent::Token {
                text: text.clone(),
                ids: vec![id],
            })?;
            ids.push(id);
        }
        Ok((FinishReason::Stop, ids))
    }

    fn wait_for_cancel(&self, emitter: &Emitter) {
        let mut state = self.lock();
        while !emitter.is_cancelled() && !emitter.is_closed() {
            let waited = self.shared.released.wait_timeout(state, POLL_INTERVAL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes a permit for one token; returns without one once the answer is cancelled or its reader dropped.
    fn wait_for_permit(&self, emitter: &Emitter) {
        let mut state = self.lock();
        loop {
            match &mut state.permits {
                None => return,
                Some(permits) if *permits > 0 => {
                    *permits -= 1;
                    return;
                }
                Some(_) if emitter.is_cancelled() || emitter.is_closed() => return,
                Some(_) => {}
            }
            let waited = self.shared.released.wait_timeout(state, POLL_INTERVAL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The steps of a script, in the order in which an answer performs them.
#[derive(Default)]
struct Steps {
    thought: Option<String>,
    evicts: Option<u64>,
    tokens: Vec<String>,
    holds: bool,
    /// In place of the calls and the end.
    error: Option<EngineError>,
    calls: Vec<ToolCall>,
}

impl Steps {
    /// Takes a script apart; fails with the error of [`Script::Refuses`].
    fn of(script: Script, message: &str) -> Result<Self, EngineError> {
        let mut steps = Self::default();
        match script {
            Script::Tokens(tokens) => steps.tokens = tokens,
            Script::Fails(tokens, error) => (steps.tokens, steps.error) = (tokens, Some(error)),
            Script::Refuses(error) => return Err(error),
            Script::Thinks(thought, tokens) => (steps.thought, steps.tokens) = (Some(thought), tokens),
            Script::Calls(tokens, calls) => (steps.tokens, steps.calls) = (tokens, calls),
            Script::Holds(tokens) => (steps.tokens, steps.holds) = (tokens, true),
            Script::Evicts(evicted, tokens) => (steps.evicts, steps.tokens) = (Some(evicted), tokens),
            Script::Echo => steps.tokens = echo(message),
        }
        Ok(steps)
    }
}

/// Returns `echo: ` and the message, split after each space.
fn echo(message: &str) -> Vec<String> {
    let mut tokens = vec!["echo: ".to_owned()];
    tokens.extend(words(message));
    tokens
}

/// Splits a text after each space; no token is empty.
fn words(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}
