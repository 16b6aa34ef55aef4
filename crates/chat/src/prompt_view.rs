//! The prompt view: what the model got of a turn, rebuilt from the log.
//!
//! A turn id goes in, a [`Prompt`] comes out. It never generates and changes nothing.

use std::collections::HashMap;
use std::sync::Arc;

use conversation_store::{Event, PathLimit, PathStart, Turn, TurnKey};
use engine::{ContextPolicy, Engine, EngineError, Message, Options, RenderedPrompt, Request, Span, SpanKind, TurnTag};
use protocol::{EffectiveOptions, Prompt, PromptPart, PromptPartKind, PromptWindow, Started};
use sha2::{Digest, Sha256};

use crate::agent_snapshot::AgentSnapshot;
use crate::command::hex;
use crate::error::ChatError;
use crate::prompt;
use crate::services::TurnServices;

/// Bytes of text and ids of one epoch that may be rendered: hundreds of windows, and a second of work.
const MAX_EPOCH_BYTES: usize = 8 << 20;

/// Events read per query while searching the turn's `started` event.
const EVENTS_AT_ONCE: usize = 256;

/// Rebuilds the prompt of a turn.
pub(crate) async fn prompt(services: &TurnServices, conversation: &str, turn_id: &str) -> Result<Prompt, ChatError> {
    let found = services.store.turn(conversation, turn_id).await?;
    let turn = found.ok_or_else(|| ChatError::turn_not_found(conversation, turn_id))?;
    let snapshot = snapshot(services, &turn).await?;
    let path = epoch_path(services, &turn).await?;
    let options: EffectiveOptions = serde_json::from_str(&turn.options_json).map_err(|_| ChatError::BadRecord {
        turn_id: turn_id.to_owned(),
        what: "options",
    })?;
    let started = started(services, &turn).await?;
    let engine = engine(services, started.as_ref(), &options)?;
    let window_tokens = started.map_or_else(|| u64::from(options.window_tokens), |started| started.window_tokens);
    let names = path.iter().map(|turn| (turn.key, turn.turn_id.clone())).collect();
    let model = engine.model();
    let messages = prompt::messages(path, &model);
    let (system, key, fingerprint) = (snapshot.system(), turn.key, model.fingerprint);
    let epoch = tokio::task::spawn_blocking(move || match model.context {
        ContextPolicy::Rolling => render(&*engine, system, messages, key),
        ContextPolicy::Bounded => render_whole(&*engine, system, messages, key),
    });
    let epoch = epoch.await.map_err(|_| ChatError::Gone)??;
    let same_model = turn.model.as_deref() == Some(fingerprint.as_str());
    let view = PromptView {
        turn,
        names,
        epoch,
        same_model,
        sink_tokens: u64::from(options.sink_tokens),
        window_tokens,
    };
    Ok(view.prompt(snapshot))
}

async fn snapshot(services: &TurnServices, turn: &Turn) -> Result<AgentSnapshot, ChatError> {
    let json = services.store.agent_snapshot(&turn.agent_hash).await?;
    let read = json.and_then(|json| serde_json::from_str(&json).ok());
    read.ok_or_else(|| ChatError::BadRecord {
        turn_id: turn.turn_id.clone(),
        what: "agent",
    })
}

/// Returns the turns from `turn` back to the first of its epoch, newest first; only itself if it never started.
async fn epoch_path(services: &TurnServices, turn: &Turn) -> Result<Vec<Turn>, ChatError> {
    let (store, conversation) = (&services.store, turn.conversation.as_str());
    let first = turn.epoch.unwrap_or(turn.key);
    let alone = PathLimit {
        turns: 1,
        bytes: MAX_EPOCH_BYTES,
        until: None,
    };
    let until = store
        .path(conversation, PathStart::Turn(first), alone)
        .await?
        .first()
        .and_then(|turn| turn.parent);
    let whole = PathLimit {
        turns: usize::MAX,
        bytes: MAX_EPOCH_BYTES,
        until,
    };
    let path = store.path(conversation, PathStart::Turn(turn.key), whole).await?;
    if path.last().is_none_or(|oldest| oldest.key != first) {
        return Err(ChatError::EpochTooLong {
            turn_id: turn.turn_id.clone(),
            limit: MAX_EPOCH_BYTES,
        });
    }
    Ok(path)
}

/// Returns the engine of the model that answered; of the requested one if none has.
fn engine(
    services: &TurnServices,
    started: Option<&Started>,
    options: &EffectiveOptions,
) -> Result<Arc<dyn Engine>, EngineError> {
    // Logs from before models could be chosen don't name one.
    let requested = Some(options.model.as_str()).filter(|model| !model.is_empty());
    let model = started.map(|started| started.model.as_str()).or(requested);
    let default = services.models.default_model();
    // A model that is no longer available is rendered as the default one would, and the answer marks it as another.
    let engine = services.models.engine(model.unwrap_or(default));
    engine.or_else(|_| services.models.engine(default))
}

/// Finds the turn's `started` event; returns `None` if it never started.
async fn started(services: &TurnServices, turn: &Turn) -> Result<Option<Started>, ChatError> {
    let mut after = turn.first_seq;
    while turn.model.is_some() {
        // Turns that were still running when this one began end before it starts, so the search is bounded.
        let events = services.store.events(&turn.conversation, after, EVENTS_AT_ONCE).await?;
        let Some(last) = events.last() else { break };
        after = last.seq;
        let own = |event: &&Event| event.kind == "started" && event.turn_id.as_deref() == Some(&turn.turn_id);
        if let Some(event) = events.iter().find(own) {
            let read = serde_json::from_str::<Started>(&event.json);
            let started = read.map_err(|_| ChatError::BadRecord {
                turn_id: turn.turn_id.clone(),
                what: "start",
            })?;
            return Ok(Some(started));
        }
    }
    Ok(None)
}

/// Renders the whole epoch, including the part that has left the window: the system part, taken from a rendering with a
/// lone question, and then all messages as a continuation of it.
fn render(
    engine: &dyn Engine,
    system: Option<String>,
    messages: Vec<Message>,
    key: TurnKey,
) -> Result<RenderedEpoch, EngineError> {
    let question: Vec<Message> = messages.last().cloned().into_iter().collect();
    let request = |system: Option<String>, continues_from: Option<TurnTag>, messages: Vec<Message>| Request {
        conversation: String::new(),
        system,
        continues_from,
        messages,
        tools: Vec::new(),
        options: Options::default(),
        seed: 0,
    };
    let alone = engine.render(&request(None, Some(TurnTag(key)), question.clone()))?;
    let mut epoch = engine.render(&request(system, None, question))?;
    let rest = engine.render(&request(None, Some(TurnTag(key)), messages))?;
    let system_tokens = epoch.ids.len().saturating_sub(alone.ids.len());
    epoch.ids.truncate(system_tokens);
    epoch.text.truncate(epoch.text.len().saturating_sub(alone.text.len()));
    epoch.spans.retain(|span| span.kind == SpanKind::System);
    epoch.ids.extend(rest.ids);
    epoch.text.push_str(&rest.text);
    let shift = |span: Span| Span {
        tokens: span.tokens.start + system_tokens..span.tokens.end + system_tokens,
        ..span
    };
    epoch.spans.extend(rest.spans.into_iter().map(shift));
    Ok(RenderedEpoch {
        question: alone,
        rendered: epoch,
    })
}

/// Renders what a bounded model would be sent: the system part with all messages, and the turn's own question.
fn render_whole(
    engine: &dyn Engine,
    system: Option<String>,
    messages: Vec<Message>,
    key: TurnKey,
) -> Result<RenderedEpoch, EngineError> {
    let request = |system: Option<String>, messages: Vec<Message>| Request {
        conversation: String::new(),
        system,
        continues_from: None,
        messages,
        tools: Vec::new(),
        options: Options::default(),
        seed: 0,
    };
    let own = messages
        .iter()
        .filter(|message| message.tag == TurnTag(key))
        .cloned()
        .collect();
    Ok(RenderedEpoch {
        question: engine.render(&request(None, own))?,
        rendered: engine.render(&request(system, messages))?,
    })
}

/// An epoch up to the turn's question, rendered.
struct RenderedEpoch {
    /// The turn's own question, with the template's literals around it.
    question: RenderedPrompt,
    /// The epoch with its system part, ending with the question.
    rendered: RenderedPrompt,
}

/// All that a [`Prompt`] is made of.
struct PromptView {
    turn: Turn,
    /// The ids of the epoch's turns, by key.
    names: HashMap<TurnKey, String>,
    epoch: RenderedEpoch,
    /// True if the engine has the weights that answered.
    same_model: bool,
    sink_tokens: u64,
    window_tokens: u64,
}

impl PromptView {
    fn prompt(self, snapshot: AgentSnapshot) -> Prompt {
        let rendered = &self.epoch.rendered;
        let ids: Vec<u8> = rendered.ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let parts: Vec<PromptPart> = rendered.spans.iter().map(|span| self.part(span)).collect();
        Prompt {
            conversation_id: self.turn.conversation.clone(),
            turn_id: self.turn.turn_id.clone(),
            model: self.turn.model.clone(),
            same_model: self.same_model,
            segment: self.segment(),
            epoch_turn_id: self.turn.epoch.and_then(|key| self.name(key)),
            window: self.window(),
            parts,
            text_sha256: hex(&Sha256::digest(&rendered.text)),
            ids_sha256: hex(&Sha256::digest(&ids)),
            agent: snapshot.into_wire(),
        }
    }

    fn segment(&self) -> PromptPart {
        let end = self.epoch.rendered.ids.len() as u64;
        let question = &self.epoch.question;
        PromptPart {
            kind: PromptPartKind::User,
            turn_id: Some(self.turn.turn_id.clone()),
            start: end.saturating_sub(question.ids.len() as u64),
            end,
            text: Some(question.text.clone()),
            ids: Some(question.ids.clone()),
        }
    }

    fn part(&self, span: &Span) -> PromptPart {
        PromptPart {
            kind: match span.kind {
                SpanKind::System => PromptPartKind::System,
                SpanKind::User => PromptPartKind::User,
                SpanKind::Assistant => PromptPartKind::Assistant,
                SpanKind::Tool => PromptPartKind::Tool,
            },
            turn_id: span.tag.and_then(|tag| self.name(tag.0)),
            start: span.tokens.start as u64,
            end: span.tokens.end as u64,
            text: None,
            ids: None,
        }
    }

    /// Returns sinks, at least the system part, and the window, the newest of the other tokens.
    fn window(&self) -> PromptWindow {
        let rendered = &self.epoch.rendered;
        let end = rendered.ids.len() as u64;
        let system = rendered.spans.iter().find(|span| span.kind == SpanKind::System);
        let system_tokens = system.map_or(0, |span| span.tokens.end as u64);
        let sink_tokens = system_tokens.max(self.sink_tokens).min(end);
        PromptWindow {
            sink_tokens,
            start: end.saturating_sub(self.window_tokens).max(sink_tokens),
            end,
        }
    }

    fn name(&self, key: TurnKey) -> Option<String> {
        self.names.get(&key).cloned()
    }
}
