//! `/narrator`, and the same below `/api/workspaces/{id}`: sends messages to narrators and reads their feeds.

use actix_web::http::header::{CONTENT_TYPE, HeaderName};
use actix_web::web::{self, Payload};
use actix_web::{HttpRequest, HttpResponse};
use protocol::{ErrorCode, NarratorMessage};
use relay::{FeedQuery, WaitFor};

use super::body::{self, QueryParams, query};
use crate::access;
use crate::api_error::ApiError;
use crate::phase::Phase;
use crate::state::AppState;

/// Events or lines of a feed: the default, and the most.
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

/// How a client asks for a response before the answer (RFC 7240).
const RESPOND_ASYNC: &str = "respond-async";

/// JSON Lines.
const JSON_LINES: &str = "application/jsonl; charset=utf-8";

/// `POST /narrator/messages`.
pub(super) async fn post(
    request: HttpRequest,
    payload: Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    post_message(&request, payload, &state, None).await
}

/// `POST /api/workspaces/{id}/narrator/messages`.
pub(super) async fn post_in_workspace(
    request: HttpRequest,
    id: web::Path<String>,
    payload: Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    post_message(&request, payload, &state, Some(id.into_inner())).await
}

/// `GET /narrator/feed`.
pub(super) async fn feed(request: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let query = query(&request)?;
    let workspace = query.required("workspaceId")?.to_owned();
    Ok(HttpResponse::Ok().json(state.narrator.feed(feed_query(&query, workspace)?).await?))
}

/// `GET /api/workspaces/{id}/narrator/feed`.
pub(super) async fn feed_of_workspace(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let feed = feed_query(&query(&request)?, id.into_inner())?;
    Ok(HttpResponse::Ok().json(state.narrator.feed(feed).await?))
}

/// `GET /narrator/raw`.
pub(super) async fn raw(request: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let query = query(&request)?;
    let workspace = query.required("workspaceId")?.to_owned();
    raw_lines(&state, feed_query(&query, workspace)?).await
}

/// `GET /api/workspaces/{id}/narrator/raw`.
pub(super) async fn raw_of_workspace(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    raw_lines(&state, feed_query(&query(&request)?, id.into_inner())?).await
}

/// Sends a message to a narrator. The work on it goes on when the client goes away.
async fn post_message(
    request: &HttpRequest,
    payload: Payload,
    state: &AppState,
    workspace: Option<String>,
) -> Result<HttpResponse, ApiError> {
    let invalid = |detail: String| ApiError::new(ErrorCode::InvalidRequest, detail);
    let body = body::read(payload, state).await?;
    let mut message = NarratorMessage::parse(&body).map_err(|error| invalid(error.to_string()))?;
    if let Some(workspace) = workspace {
        if let Some(other) = message.workspace_id.filter(|other| *other != workspace) {
            return Err(invalid(format!(
                "the body's workspaceId {other:?} is not the path's {workspace:?}"
            )));
        }
        message.workspace_id = Some(workspace);
    }
    let waits = if prefers_async(request) {
        WaitFor::Nothing
    } else {
        WaitFor::Answer
    };
    let narrator = state.narrator.clone();
    state.check_serving()?;
    state.access.count_start(access::client_ip(request))?;
    let mut phase = state.phase.clone();
    let accepted = tokio::select! {
        biased;
        // A relay may take much longer than a stop may take.
        _ = phase.wait_for(|phase| *phase == Phase::Stopping) => return Err(ApiError::draining()),
        accepted = state.spawn_detached(async move { narrator.send(message, waits).await }) => accepted??,
    };
    let mut response = HttpResponse::Accepted();
    if waits == WaitFor::Nothing {
        response.insert_header((HeaderName::from_static("preference-applied"), RESPOND_ASYNC));
    }
    Ok(response.json(accepted))
}

fn prefers_async(request: &HttpRequest) -> bool {
    let values = request
        .headers()
        .get_all("prefer")
        .filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split([',', ';']));
    preferences.any(|preference| preference.trim().eq_ignore_ascii_case(RESPOND_ASYNC))
}

fn feed_query(query: &QueryParams, workspace: String) -> Result<FeedQuery, ApiError> {
    let limit = match query.number("limit")? {
        None => DEFAULT_LIMIT,
        Some(limit) if (1..=MAX_LIMIT as u64).contains(&limit) => limit as usize,
        Some(limit) => {
            let detail = format!("limit={limit} must be 1 to {MAX_LIMIT}");
            return Err(ApiError::new(ErrorCode::InvalidRequest, detail));
        }
    };
    Ok(FeedQuery {
        workspace,
        conversation: query.text("conversationId").map(str::to_owned),
        limit,
    })
}

async fn raw_lines(state: &AppState, query: FeedQuery) -> Result<HttpResponse, ApiError> {
    let lines = state.narrator.raw(query).await?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, JSON_LINES)).body(lines))
}
