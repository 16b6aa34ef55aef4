//! `/conversations`: conversations, turns and events, page by page, and the prompt that the model saw.

use actix_web::http::header::ACCEPT;
use actix_web::{HttpRequest, HttpResponse, web};
use chat::{logged_frame, rfc3339};
use conversation_store::{Conversation, Turn, TurnState};
use protocol::{ConversationPage, ConversationSummary, ErrorCode, EventPage, check_conversation_id};
use serde_json::value::RawValue;

use super::body::query;
use super::sse;
use crate::api_error::ApiError;
use crate::state::AppState;

/// Conversations of a page: the default, and the most.
const PAGE: PageSize = PageSize { default: 50, max: 200 };

/// Turns of a page.
const TURN_PAGE: PageSize = PageSize { default: 100, max: 200 };

/// Events of a page.
const EVENT_PAGE: PageSize = PageSize {
    default: 500,
    max: 1_000,
};

struct PageSize {
    default: usize,
    max: usize,
}

impl PageSize {
    fn size(&self, requested: Option<u64>) -> Result<usize, ApiError> {
        match requested {
            None => Ok(self.default),
            Some(size) if (1..=self.max as u64).contains(&size) => Ok(size as usize),
            Some(size) => {
                let detail = format!("limit={size} must be 1 to {}", self.max);
                Err(ApiError::new(ErrorCode::InvalidRequest, detail))
            }
        }
    }
}

/// `GET /conversations`.
pub(super) async fn list(request: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let query = query(&request)?;
    let size = PAGE.size(query.number("limit")?)?;
    let page = state.store.list(query.text("cursor"), size).await?;
    let conversations = page.conversations.into_iter().map(summary_to_wire).collect();
    Ok(HttpResponse::Ok().json(ConversationPage {
        conversations,
        next_cursor: page.next,
    }))
}

/// `GET /conversations/{id}`.
pub(super) async fn get(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let query = query(&request)?;
    let size = TURN_PAGE.size(query.number("limit")?)?;
    let after = query.number("cursor")?.unwrap_or(0);
    let conversation = find_conversation(&state, &id).await?;
    let turns = state.store.turns(&id, after, size).await?;
    // A page may be short because its turns are long: only the next page tells whether it is the last.
    let last = turns.last().map_or(after, |turn| turn.key);
    let has_more = !turns.is_empty() && !state.store.turns(&id, last, 1).await?.is_empty();
    let next_cursor = has_more.then(|| last.to_string());
    let turns = turns.into_iter().map(turn_to_wire).collect::<Result<_, _>>()?;
    Ok(HttpResponse::Ok().json(protocol::Conversation {
        summary: summary_to_wire(conversation),
        turns,
        next_cursor,
    }))
}

/// `DELETE /conversations/{id}`.
pub(super) async fn delete(id: web::Path<String>, state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    check_id(&id)?;
    state.delete_conversation(&id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /conversations/{id}/events`.
pub(super) async fn events(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let query = query(&request)?;
    let after = query.number("after")?.unwrap_or(0);
    // A malformed header is refused even where it isn't used.
    let resumed_after = last_event_id(&request)?;
    let size = EVENT_PAGE.size(query.number("limit")?)?;
    if wants_stream(&request) {
        let start = sse::StreamStart {
            after: resumed_after.unwrap_or(after),
            last_seq: find_conversation(&state, &id).await?.last_seq,
            conversation: id.into_inner(),
        };
        return sse::respond(&state, start);
    }
    let last_seq = find_conversation(&state, &id).await?.last_seq;
    let events = state.store.events(&id, after, size).await?;
    let unreadable = |error: serde_json::Error| ApiError::internal("reading an event", &error);
    let frames = events
        .iter()
        .map(|event| RawValue::from_string(logged_frame(&id, event)));
    let events = frames.collect::<Result<_, _>>().map_err(unreadable)?;
    Ok(HttpResponse::Ok().json(EventPage { events, last_seq }))
}

/// Returns true if the client accepts server-sent events.
fn wants_stream(request: &HttpRequest) -> bool {
    let accepted = request
        .headers()
        .get_all(ACCEPT)
        .filter_map(|value| value.to_str().ok());
    let mut types = accepted.flat_map(|value| value.split(','));
    types.any(|kind| {
        let name = kind.split(';').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case(sse::EVENT_STREAM)
    })
}

/// Parses `Last-Event-ID`, which a browser sends by itself when it reconnects, with the URL of its first request.
fn last_event_id(request: &HttpRequest) -> Result<Option<u64>, ApiError> {
    let Some(value) = request.headers().get("last-event-id") else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let wrong = || {
        ApiError::new(
            ErrorCode::InvalidRequest,
            "Last-Event-ID must be a whole number, 0 or more",
        )
    };
    number.map(Some).ok_or_else(wrong)
}

/// `GET /conversations/{id}/prompt?turn=`.
pub(super) async fn prompt(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let query = query(&request)?;
    check_id(&id)?;
    Ok(HttpResponse::Ok().json(state.prompt(&id, query.required("turn")?).await?))
}

async fn find_conversation(state: &AppState, id: &str) -> Result<Conversation, ApiError> {
    check_id(id)?;
    state.store.conversation(id).await?.ok_or_else(|| not_found(id))
}

/// Checks a conversation's id: a malformed one names no conversation, even where the store has something of that name,
/// such as an unfinished import.
pub(super) fn check_id(id: &str) -> Result<(), ApiError> {
    check_conversation_id(id).map_err(|_| not_found(id))
}

fn not_found(id: &str) -> ApiError {
    let detail = format!("conversation {id:?} not found");
    ApiError::new(ErrorCode::ConversationNotFound, detail)
}

fn summary_to_wire(conversation: Conversation) -> ConversationSummary {
    ConversationSummary {
        conversation_id: conversation.id,
        created_at: rfc3339(conversation.created_at_ms),
        updated_at: rfc3339(conversation.updated_at_ms),
        head_turn_id: conversation.head_turn_id,
        last_seq: conversation.last_seq,
    }
}

fn turn_to_wire(turn: Turn) -> Result<protocol::Turn, ApiError> {
    let options = serde_json::from_str(&turn.options_json)
        .map_err(|error| ApiError::internal("reading a turn's options", &error))?;
    Ok(protocol::Turn {
        turn_id: turn.turn_id,
        parent_turn_id: turn.parent_turn_id,
        state: state_to_wire(turn.state),
        agent_id: turn.agent_id,
        agent_hash: turn.agent_hash,
        user_text: turn.user_text,
        answer_text: turn.answer_text,
        options,
        seed: turn.seed,
        first_seq: turn.first_seq,
        created_at: rfc3339(turn.created_at_ms),
        ended_at: turn.ended_at_ms.map(rfc3339),
    })
}

fn state_to_wire(state: TurnState) -> protocol::TurnState {
    match state {
        TurnState::Pending => protocol::TurnState::Pending,
        TurnState::Streaming => protocol::TurnState::Streaming,
        TurnState::Done => protocol::TurnState::Done,
        TurnState::Cancelled => protocol::TurnState::Cancelled,
        TurnState::Failed => protocol::TurnState::Failed,
        TurnState::Interrupted => protocol::TurnState::Interrupted,
    }
}
