//! Prepares the request to an engine: the messages after its cache, or the whole history.

use std::sync::Arc;

use conversation_store::{PathLimit, PathStart, StoreError, Turn, TurnKey};
use engine::{ContextPolicy, Engine, Message, ModelInfo, Request, Tool, TurnTag};
use protocol::ToolDefinition;

use super::context::TurnContext;
use super::error::TurnError;
use crate::prompt::{self, TokenBudget, Truncated};
use crate::tool_rounds::{MAX_ROUNDS, ToolRounds};

/// Reads of one path: turns that are no part of the prompt must not hide earlier ones, and a long run of failures must
/// not be read to its end each time.
const MAX_READS: usize = 64;

/// Where the prompt's history comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PromptSource {
    /// The engine's cache, if it is on the turn's path.
    Cache,
    /// The log alone.
    History,
}

/// A request, with the turns that were truncated for it.
pub(super) struct PreparedRequest {
    pub request: Request,
    pub truncated: Option<Truncated>,
}

/// Prepares the request of the next round.
pub(super) async fn prepare(
    context: &TurnContext,
    engine: &Arc<dyn Engine>,
    rounds: &ToolRounds,
    source: PromptSource,
) -> Result<PreparedRequest, TurnError> {
    let model = engine.model();
    // A round continues after tool outputs, and no cache ends there.
    let source = if rounds.count() == 0 {
        source
    } else {
        PromptSource::History
    };
    let (continues_from, path) = path(context, engine, &model, source).await?;
    let mut messages = prompt::messages(path, &model);
    messages.extend(rounds.messages(TurnTag(context.key)));
    let is_last = rounds.count() + 1 >= MAX_ROUNDS;
    let tools = context.tools.iter().filter(|_| !is_last).map(tool).collect();
    let mut request = Request {
        conversation: context.conversation.clone(),
        system: context.system.clone(),
        continues_from,
        messages,
        tools,
        options: context.options.clone(),
        seed: context.seed,
    };
    let truncated = match model.context {
        ContextPolicy::Rolling => None,
        ContextPolicy::Bounded => truncate(&mut request, &model)?,
    };
    Ok(PreparedRequest { request, truncated })
}

/// Truncates a request to the context of a bounded model.
fn truncate(request: &mut Request, model: &ModelInfo) -> Result<Option<Truncated>, TurnError> {
    let messages: Vec<Message> = std::mem::take(&mut request.messages);
    let budget = TokenBudget {
        context_tokens: model.context_tokens,
        max_new_tokens: u64::from(request.options.max_new_tokens),
    };
    let fitted = prompt::fit(messages, request.system.as_deref(), &request.tools, budget)?;
    request.messages = fitted.messages;
    Ok(fitted.truncated)
}

/// Converts a tool's definition for the engine.
fn tool(definition: &ToolDefinition) -> Tool {
    Tool {
        name: definition.name.clone(),
        description: definition.description.clone(),
        parameters: serde_json::to_string(&definition.parameters).expect("a JSON map can be written"),
    }
}

/// Returns the turn with which the engine's cache ends and the turns after it, if the cache is on the path; else the
/// history.
async fn path(
    context: &TurnContext,
    engine: &Arc<dyn Engine>,
    model: &ModelInfo,
    source: PromptSource,
) -> Result<(Option<TurnTag>, Vec<Turn>), StoreError> {
    let window = match model.context {
        ContextPolicy::Rolling => context.options.window_tokens.map_or(model.window_tokens, u64::from),
        ContextPolicy::Bounded => model.context_tokens,
    };
    let history = prompt::history_limit(window);
    let cached = match source {
        PromptSource::Cache => engine.cached_through(&context.conversation),
        PromptSource::History => None,
    };
    if let Some(tag) = cached {
        let limit = PathLimit {
            until: Some(tag.0),
            ..history
        };
        let (path, before) = read_path(context, limit).await?;
        if before == Some(tag.0) && is_history(context, tag, history).await? {
            return Ok((Some(tag), path));
        }
    }
    let (path, _) = read_path(context, history).await?;
    Ok((None, path))
}

/// Returns the turn and the earlier ones that are part of its prompt, newest first, and the parent of the oldest turn
/// read.
async fn read_path(context: &TurnContext, limit: PathLimit) -> Result<(Vec<Turn>, Option<TurnKey>), StoreError> {
    let (mut path, mut before) = (Vec::new(), Some(context.key));
    for _ in 0..MAX_READS {
        let Some(start) = before.filter(|key| Some(*key) != limit.until) else {
            break;
        };
        let store = &context.services.store;
        let turns = store.path(&context.conversation, PathStart::Turn(start), limit).await?;
        let (seen, kept) = (turns.len(), path.len());
        before = turns.last().and_then(|oldest| oldest.parent);
        path.extend(
            turns
                .into_iter()
                .filter(|turn| turn.key == context.key || prompt::is_part(turn)),
        );
        if path.len() - kept == seen || prompt::is_enough(&path, limit) {
            break;
        }
    }
    Ok((path, before))
}

/// Returns true if the turn with which a cache ends is part of the prompt. An answer may be finished in the engine and
/// refused by the log: its turn has failed, and must not be continued.
async fn is_history(context: &TurnContext, cached: TurnTag, limit: PathLimit) -> Result<bool, StoreError> {
    let alone = PathLimit { turns: 1, ..limit };
    let store = &context.services.store;
    let turns = store
        .path(&context.conversation, PathStart::Turn(cached.0), alone)
        .await?;
    Ok(turns.first().is_some_and(prompt::is_part))
}
