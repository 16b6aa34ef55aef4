//! An engine that answers from a script: for tests, and for measuring everything around a model.
//!
//! It needs no model, gives the same tokens for the same request, and can be held before every token, so that a test
//! decides when an answer goes on. It keeps the promise of [`Engine::cached_through`] as the real one does.

mod by_message;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::{
    ContextPolicy, Emitter, Engine, EngineError, EngineEvent, FinishReason, Finished, Generation, ModelInfo, Readiness,
    Rendered, Request, Role, Span, SpanKind, Started, Timings, ToolCall, TurnTag, Usage, channel,
};

/// Events between a scripted answer and its reader; small, so that tests meet a full channel.
const CHANNEL_EVENTS: usize = 16;

/// How often a held answer looks whether it was cancelled.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What a [`ScriptedEngine`] answers next.
#[derive(Debug, Clone, PartialEq)]
pub enum Script {
    /// These tokens, then the end.
    Tokens(Vec<String>),
    /// These tokens, then this error.
    Fails(Vec<String>, EngineError),
    /// This error before anything else.
    Refuses(EngineError),
    /// This thought, then these tokens.
    Thinks(String, Vec<String>),
    /// These tokens, then a request for these tools.
    Calls(Vec<String>, Vec<ToolCall>),
    /// These tokens, and no end until it is cancelled.
    Holds(Vec<String>),
    /// This many tokens leave the window, then these tokens.
    Evicts(u64, Vec<String>),
    /// `echo: ` and the user's message, word by word.
    Echo,
}

/// Answers from a script, one thread an answer.
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
    cached: HashMap<String, TurnTag>,
    epochs: HashMap<String, TurnTag>,
    /// `None`: nothing is held.
    permits: Option<u64>,
    /// Whether messages are asked what to answer once the scripts are used up.
    asks_messages: bool,
}

impl ScriptedEngine {
    /// An engine that gives these answers in order, and then echoes.
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

    /// Answers as the messages ask for, once its scripts are used up: `/hold WORDS`, `/fail CODE WORDS`, `/think THOUGHT WORDS`,
    /// `/evict NUMBER WORDS` and `/tool NAME ARGUMENTS`. Everything else is echoed.
    #[must_use]
    pub fn by_message(self) -> Self {
        self.lock().asks_messages = true;
        self
    }

    /// Lets `tokens` more tokens through, over all answers.
    pub fn release(&self, tokens: u64) {
        if let Some(permits) = &mut self.lock().permits {
            *permits = permits.saturating_add(tokens);
        }
        self.shared.released.notify_all();
    }

    /// Every request so far, oldest first.
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
            // What a tool gave is no command.
            let asking = request.messages.last().filter(|last| last.role == Role::User);
            let asked = asking
                .filter(|_| state.asks_messages)
                .map(|last| by_message::script(&last.text));
            state.scripts.pop_front().or(asked).unwrap_or(Script::Echo)
        };
        let engine = self.clone();
        thread::Builder::new()
            .name("scripted-answer".to_owned())
            .spawn(move || {
                // A reader that is gone has dropped the turn; the script has nothing to undo.
                let _gone = engine.answer(&request, script, &emitter);
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

    /// Every part is its text and a line feed; every character is a token, with its code point as the id.
    fn render(&self, request: &Request) -> Result<Rendered, EngineError> {
        let mut rendered = Rendered {
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
    fn answer(&self, request: &Request, script: Script, emitter: &Emitter) -> Result<(), crate::NotSent> {
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
        let Play {
            thought,
            tokens,
            calls,
            error,
            evicts,
            holds,
        } = match Play::of(script, &last.text) {
            Ok(play) => play,
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

    /// The turn that the request's epoch starts with: as before when it continues, else its first message's.
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

    /// Sends the tokens, up to the request's limit; token `i` has the id `i`.
    fn stream(
        &self,
        tokens: &[String],
        request: &Request,
        emitter: &Emitter,
    ) -> Result<(FinishReason, Vec<u32>), crate::NotSent> {
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
            let waited = self.shared.released.wait_timeout(state, LOOK_EVERY);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

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
            let waited = self.shared.released.wait_timeout(state, LOOK_EVERY);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A script taken apart.
#[derive(Default)]
struct Play {
    thought: Option<String>,
    tokens: Vec<String>,
    calls: Vec<ToolCall>,
    error: Option<EngineError>,
    evicts: Option<u64>,
    holds: bool,
}

impl Play {
    fn of(script: Script, message: &str) -> Result<Self, EngineError> {
        let mut play = Self::default();
        match script {
            Script::Tokens(tokens) => play.tokens = tokens,
            Script::Fails(tokens, error) => (play.tokens, play.error) = (tokens, Some(error)),
            Script::Refuses(error) => return Err(error),
            Script::Thinks(thought, tokens) => (play.thought, play.tokens) = (Some(thought), tokens),
            Script::Calls(tokens, calls) => (play.tokens, play.calls) = (tokens, calls),
            Script::Holds(tokens) => (play.tokens, play.holds) = (tokens, true),
            Script::Evicts(evicted, tokens) => (play.evicts, play.tokens) = (Some(evicted), tokens),
            Script::Echo => play.tokens = echo(message),
        }
        Ok(play)
    }
}

/// `echo: ` and the message, split after each space.
fn echo(message: &str) -> Vec<String> {
    let mut tokens = vec!["echo: ".to_owned()];
    tokens.extend(words(message));
    tokens
}

/// A text, cut after each space: no token is empty.
fn words(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}
