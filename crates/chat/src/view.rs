//! What the model saw of a turn, rebuilt from the log.

use std::collections::HashMap;
use std::sync::Arc;

use conversation_store::{Event, PathLimit, PathStart, Turn, TurnKey};
use engine::{ContextPolicy, Engine, EngineError, Message, Options, Rendered, Request, Span, SpanKind, TurnTag};
use protocol::{EffectiveOptions, Prompt, PromptPart, PromptPartKind, PromptWindow, Started};
use sha2::{Digest, Sha256};

use crate::command::hex;
use crate::system::Snapshot;
use crate::{ChatError, Shared, prompt};

/// Bytes of text and ids of one epoch that are rendered at once: hundreds of windows, and a second of work.
const MAX_EPOCH_BYTES: usize = 8 << 20;

/// Events that are read at once when the turn's `started` event is looked for.
const EVENTS_AT_ONCE: usize = 256;

pub(crate) async fn prompt(shared: &Shared, conversation: &str, turn_id: &str) -> Result<Prompt, ChatError> {
    let found = shared.store.turn(conversation, turn_id).await?;
    let turn = found.ok_or_else(|| ChatError::turn_not_found(conversation, turn_id))?;
    let snapshot = snapshot(shared, &turn).await?;
    let path = epoch_path(shared, &turn).await?;
    let options: EffectiveOptions = serde_json::from_str(&turn.options_json).map_err(|_| ChatError::BadRecord {
        turn_id: turn_id.to_owned(),
        what: "options",
    })?;
    let started = started(shared, &turn).await?;
    let engine = engine(shared, started.as_ref(), &options)?;
    let window_tokens = started.map_or_else(|| u64::from(options.window_tokens), |started| started.window_tokens);
    let names = path.iter().map(|turn| (turn.key, turn.turn_id.clone())).collect();
    let model = engine.model();
    let messages = prompt::messages(path, &model);
    let (system, key, fingerprint) = (snapshot.system(), turn.key, model.fingerprint);
    let whole = tokio::task::spawn_blocking(move || match model.context {
        ContextPolicy::Rolling => render(&*engine, system, messages, key),
        ContextPolicy::Bounded => render_whole(&*engine, system, messages, key),
    });
    let whole = whole.await.map_err(|_| ChatError::Gone)??;
    let same_model = turn.model.as_deref() == Some(fingerprint.as_str());
    let view = View {
        turn,
        names,
        whole,
        same_model,
        sink_tokens: u64::from(options.sink_tokens),
        window_tokens,
    };
    Ok(view.prompt(snapshot))
}

async fn snapshot(shared: &Shared, turn: &Turn) -> Result<Snapshot, ChatError> {
    let json = shared.store.agent_snapshot(&turn.agent_hash).await?;
    let read = json.and_then(|json| serde_json::from_str(&json).ok());
    read.ok_or_else(|| ChatError::BadRecord {
        turn_id: turn.turn_id.clone(),
        what: "agent",
    })
}

/// The turns from the asked one back to the first of its epoch, newest first. A turn that never started sees only itself.
async fn epoch_path(shared: &Shared, turn: &Turn) -> Result<Vec<Turn>, ChatError> {
    let (store, conversation) = (&shared.store, turn.conversation.as_str());
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

/// The engine of the model that answered; of the one that was asked for when none has.
fn engine(
    shared: &Shared,
    started: Option<&Started>,
    options: &EffectiveOptions,
) -> Result<Arc<dyn Engine>, EngineError> {
    // Logs of before there was a choice don't say which.
    let asked = Some(options.model.as_str()).filter(|model| !model.is_empty());
    let model = started.map(|started| started.model.as_str()).or(asked);
    let default = shared.models.default_model();
    // A model that is here no more is rendered as the default one would, and the answer says that it is another.
    let engine = shared.models.engine(model.unwrap_or(default));
    engine.or_else(|_| shared.models.engine(default))
}

/// The turn's `started` event; `None` when it never started.
async fn started(shared: &Shared, turn: &Turn) -> Result<Option<Started>, ChatError> {
    let mut after = turn.first_seq;
    while turn.model.is_some() {
        // The turns before this one, which were still running when it began, end before it starts; so this ends.
        let events = shared.store.events(&turn.conversation, after, EVENTS_AT_ONCE).await?;
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

/// The whole epoch, also the part of it that no window holds any more: the system part with a lone question before, and every
/// message as if it went on from there.
fn render(
    engine: &dyn Engine,
    system: Option<String>,
    messages: Vec<Message>,
    key: TurnKey,
) -> Result<Whole, EngineError> {
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
    let mut whole = engine.render(&request(system, None, question))?;
    let rest = engine.render(&request(None, Some(TurnTag(key)), messages))?;
    let system_tokens = whole.ids.len().saturating_sub(alone.ids.len());
    whole.ids.truncate(system_tokens);
    whole.text.truncate(whole.text.len().saturating_sub(alone.text.len()));
    whole.spans.retain(|span| span.kind == SpanKind::System);
    whole.ids.extend(rest.ids);
    whole.text.push_str(&rest.text);
    let shift = |span: Span| Span {
        tokens: span.tokens.start + system_tokens..span.tokens.end + system_tokens,
        ..span
    };
    whole.spans.extend(rest.spans.into_iter().map(shift));
    Ok(Whole {
        question: alone,
        rendered: whole,
    })
}

/// What a model without an epoch would be sent: the messages with the system part, and the turn's own question.
fn render_whole(
    engine: &dyn Engine,
    system: Option<String>,
    messages: Vec<Message>,
    key: TurnKey,
) -> Result<Whole, EngineError> {
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
    Ok(Whole {
        question: engine.render(&request(None, own))?,
        rendered: engine.render(&request(system, messages))?,
    })
}

/// An epoch up to the turn's question.
struct Whole {
    /// The turn's own question, with the template's words around it.
    question: Rendered,
    rendered: Rendered,
}

struct View {
    turn: Turn,
    /// Keys and ids of the epoch's turns.
    names: HashMap<TurnKey, String>,
    whole: Whole,
    same_model: bool,
    sink_tokens: u64,
    window_tokens: u64,
}

impl View {
    fn prompt(self, snapshot: Snapshot) -> Prompt {
        let rendered = &self.whole.rendered;
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
        let end = self.whole.rendered.ids.len() as u64;
        let question = &self.whole.question;
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

    /// Sinks are the system part at least; the window is what is left of the newest tokens.
    fn window(&self) -> PromptWindow {
        let rendered = &self.whole.rendered;
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
