//! What the engine is asked: the messages after its cache, or the history.

use conversation_store::{PathLimit, PathStart, StoreError, Turn, TurnKey};
use engine::Tag;

use super::{Live, Request};
use crate::prompt;

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

pub(super) async fn request(live: &Live, source: Source) -> Result<Request, StoreError> {
    let engine = &live.shared.engine;
    let model = engine.model();
    let window = live.options.window_tokens.map_or(model.window_tokens, u64::from);
    let history = prompt::history_limit(window);
    let cached = match source {
        Source::Cache => engine.cached_through(&live.conversation),
        Source::History => None,
    };
    let mut continues_from = None;
    let mut path = Vec::new();
    if let Some(tag) = cached {
        let limit = PathLimit {
            until: Some(tag.0),
            ..history
        };
        let before;
        (path, before) = read_path(live, limit).await?;
        if before == Some(tag.0) && is_history(live, tag, history).await? {
            continues_from = Some(tag);
        }
    }
    if continues_from.is_none() {
        (path, _) = read_path(live, history).await?;
    }
    Ok(Request {
        conversation: live.conversation.clone(),
        system: live.system.clone(),
        continues_from,
        messages: prompt::messages(path, &model.fingerprint),
        options: live.options.clone(),
        seed: live.seed,
    })
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
async fn is_history(live: &Live, cached: Tag, limit: PathLimit) -> Result<bool, StoreError> {
    let alone = PathLimit { turns: 1, ..limit };
    let store = &live.shared.store;
    let turns = store.path(&live.conversation, PathStart::Turn(cached.0), alone).await?;
    Ok(turns.first().is_some_and(prompt::is_part))
}
