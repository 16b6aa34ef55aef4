//! `/conversations/{id}/export` and `/conversations/import`: a conversation as JSON Lines, out and in.
//!
//! Neither direction holds more than a chunk in memory: an export is read as the client takes it, an import is written
//! as it arrives.

use std::future::ready;
use std::time::Duration;

use actix_web::http::header::{CONTENT_TYPE, LOCATION};
use actix_web::web::{self, Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse};
use chat::check_snapshot;
use conversation_store::{Import, ImportChecks, ImportTarget};
use futures_util::StreamExt;
use futures_util::stream;
use protocol::{ConversationImported, ErrorCode, check_conversation_id, check_logged};
use tokio::time::timeout;

use super::body::{self, query};
use super::conversations::check_id;
use crate::api_error::ApiError;
use crate::state::AppState;

/// The content type of an export.
const JSON_LINES: &str = "application/jsonl; charset=utf-8";

/// Most bytes of an import: a conversation of some million tokens, and a bound on what one request may write.
const MAX_IMPORT_BYTES: u64 = 1 << 30;

/// Most bytes of one line: a turn with the largest tool rounds that the store takes, and as much again for its texts.
const MAX_LINE_BYTES: usize = 16 << 20;

/// Validates what a store doesn't know: ids, agents and events.
const CHECKS: ImportChecks = ImportChecks {
    // Conversations and turns have the same kind of id.
    is_id: |id| check_conversation_id(id).is_ok(),
    agent: check_snapshot,
    event: |kind, json| check_logged(kind, json).map_err(|error| error.to_string()),
};

/// `GET /conversations/{id}/export`.
pub(super) async fn export(id: web::Path<String>, state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    check_id(&id)?;
    let mut export = state.store.export(&id);
    // What can be refused is refused with the first chunk. Later only a deletion cuts the response off, and the client
    // sees no end.
    let first = export.piece().await?.unwrap_or_default();
    let rest = stream::unfold(Some(export), |export| async {
        let mut export = export?;
        match export.piece().await {
            Ok(Some(piece)) => Some((Ok(Bytes::from(piece)), Some(export))),
            Ok(None) => None,
            Err(error) => Some((Err(ApiError::from(error)), None)),
        }
    });
    let pieces = stream::once(ready(Ok(Bytes::from(first)))).chain(rest);
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, JSON_LINES))
        .streaming(pieces))
}

/// `POST /conversations/import`. When the client goes away, what was imported is removed again.
pub(super) async fn import(
    request: HttpRequest,
    payload: Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let query = query(&request)?;
    let id = query.text("as").map(str::to_owned);
    if let Some(id) = &id {
        check_conversation_id(id).map_err(|error| ApiError::new(error.code(), error.to_string()))?;
    }
    let mut import = state.store.import(ImportTarget { id }, CHECKS);
    read_lines(payload, &mut import, state.http.body).await?;
    let imported = import.finish().await?;
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("/conversations/{}", imported.conversation)))
        .json(ConversationImported {
            conversation_id: imported.conversation,
            turns: imported.turns,
            events: imported.events,
        }))
}

async fn read_lines(mut payload: Payload, import: &mut Import, chunk_timeout: Duration) -> Result<(), ApiError> {
    let (mut line, mut bytes) = (Vec::new(), 0_u64);
    while let Some(chunk) = timeout(chunk_timeout, payload.next()).await.map_err(body::timed_out)? {
        let unreadable = |error| ApiError::new(ErrorCode::InvalidRequest, format!("cannot read the body: {error}"));
        let chunk = chunk.map_err(unreadable)?;
        bytes += chunk.len() as u64;
        if bytes > MAX_IMPORT_BYTES {
            let detail = format!("the import is larger than {MAX_IMPORT_BYTES} bytes");
            return Err(ApiError::new(ErrorCode::TooLarge, detail));
        }
        let mut pieces = chunk.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            if line.len() + piece.len() > MAX_LINE_BYTES {
                let number = import.line_number() + 1;
                let detail = format!("line {number} is larger than {MAX_LINE_BYTES} bytes");
                return Err(ApiError::new(ErrorCode::TooLarge, detail));
            }
            line.extend_from_slice(piece);
            // The last part has no line end yet.
            if pieces.peek().is_some() {
                import_line(import, &line).await?;
                line.clear();
            }
        }
    }
    if line.is_empty() {
        return Ok(());
    }
    import_line(import, &line).await
}

async fn import_line(import: &mut Import, line: &[u8]) -> Result<(), ApiError> {
    let number = import.line_number() + 1;
    let text = std::str::from_utf8(line)
        .map_err(|error| ApiError::new(ErrorCode::InvalidRequest, format!("line {number}: {error}")))?;
    Ok(import.line(text).await?)
}
