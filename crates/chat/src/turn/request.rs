//! What the engine is asked: the messages after its cache, or the history.

use std::sync::Arc;

use conversation_store::{PathLimit, PathStart, StoreError, Turn, TurnKey};
use engine::{ContextPolicy, Engine, Message, ModelInfo, Request, Tool, TurnTag};
use protocol::ToolDefinition;

use super::{Broken, Live};
use crate::prompt::{self, LeftOut, Room};
use crate::rounds::{MAX_ROUNDS, Record};

/// Reads of one path: turns that are no part of the prompt must not hide those before them, and a run of failures that has no
/// end must not be read to its end each time.
const MAX_READS: usize = 64;

/// Where a request goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// From the engine's cache where it is on the turn's path.
    Cache,
    /// From the log alone.
    History,
}

/// A request, and the turns that had to be left out of it.
pub(super) struct Asked {
    pub request: Request,
    pub left_out: Option<LeftOut>,
}

pub(super) async fn request(
    live: &Live,
    engine: &Arc<dyn Engine>,
    record: &Record,
    source: Source,
) -> Result<Asked, Broken> {
    let model = engine.model();
    // A round goes on from what tools gave, and no cache ends there.
    let source = if record.rounds.is_empty() {
        source
    } else {
        Source::History
    };
    let (continues_from, path) = path(live, engine, &model, source).await?;
    let mut messages = prompt::messages(path, &model);
    messages.extend(record.messages(TurnTag(live.key)));
    let is_last = record.rounds.len() + 1 >= MAX_ROUNDS;
    let tools = live.tools.iter().filter(|_| !is_last).map(tool).collect();
    let mut request = Request {
        conversation: live.conversation.clone(),
        system: live.system.clone(),
        continues_from,
        messages,
        tools,
        options: live.options.clone(),
        seed: live.seed,
    };
    let left_out = match model.context {
        ContextPolicy::Rolling => None,
        ContextPolicy::Bounded => leave_out(&mut request, &model)?,
    };
    Ok(Asked { request, left_out })
}

/// Cuts a request to what a bounded model holds.
fn leave_out(request: &mut Request, model: &ModelInfo) -> Result<Option<LeftOut>, Broken> {
    let messages: Vec<Message> = std::mem::take(&mut request.messages);
    let room = Room {
        context_tokens: model.context_tokens,
        max_new_tokens: u64::from(request.options.max_new_tokens),
    };
    let fitted = prompt::fit(messages, request.system.as_deref(), &request.tools, room).map_err(Broken::Engine)?;
    request.messages = fitted.messages;
    Ok(fitted.left_out)
}

fn tool(definition: &ToolDefinition) -> Tool {
    Tool {
        name: definition.name.clone(),
        description: definition.description.clone(),
        parameters: serde_json::to_string(&definition.parameters).expect("a JSON map can be written"),
    }
}

/// The turn that the engine's cache ends with, if it is on the way, and the turns after it; else the history.
async fn path(
    live: &Live,
    engine: &Arc<dyn Engine>,
    model: &ModelInfo,
    source: Source,
) -> Result<(Option<TurnTag>, Vec<Turn>), StoreError> {
    let window = match model.context {
        ContextPolicy::Rolling => live.options.window_tokens.map_or(model.window_tokens, u64::from),
        ContextPolicy::Bounded => model.context_tokens,
    };
    let history = prompt::history_limit(window);
    let cached = match source {
        Source::Cache => engine.cached_through(&live.conversation),
        Source::History => None,
    };
    if let Some(tag) = cached {
        let limit = PathLimit {
            until: Some(tag.0),
            ..history
        };
        let (path, before) = read_path(live, limit).await?;
        if before == Some(tag.0) && is_history(live, tag, history).await? {
            return Ok((Some(tag), path));
        }
    }
    let (path, _) = read_path(live, history).await?;
    Ok((None, path))
}

/// The turn and those before it that are part of its prompt, newest first, and the turn before the oldest that was looked at.
async fn read_path(live: &Live, limit: PathLimit) -> Result<(Vec<Turn>, Option<TurnKey>), StoreError> {
    let (mut path, mut before) = (Vec::new(), Some(live.key));
    for _ in 0..MAX_READS {
        let Some(start) = before.filter(|key| Some(*key) != limit.until) else {
            break;
        };
        let store = &live.shared.store;
        let turns = store.path(&live.conversation, PathStart::Turn(start), limit).await?;
        let (seen, kept) = (turns.len(), path.len());
        before = turns.last().and_then(|oldest| oldest.parent);
        path.extend(
            turns
                .into_iter()
                .filter(|turn| turn.key == live.key || prompt::is_part(turn)),
        );
        if path.len() - kept == seen || prompt::is_enough(&path, limit) {
            break;
        }
    }
    Ok((path, before))
}

/// Whether the turn that a cache ends with is part of the prompt. The engine may have finished an answer that the log could not
/// take: that turn has failed, and what the cache holds of it never was.
async fn is_history(live: &Live, cached: TurnTag, limit: PathLimit) -> Result<bool, StoreError> {
    let alone = PathLimit { turns: 1, ..limit };
    let store = &live.shared.store;
    let turns = store.path(&live.conversation, PathStart::Turn(cached.0), alone).await?;
    Ok(turns.first().is_some_and(prompt::is_part))
}
