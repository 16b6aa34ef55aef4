//! `/narrator`, and the same below `/api/workspaces/{id}`: said to narrators, and read of them.

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, HeaderName};
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use protocol::{ErrorCode, NarratorMessage};
use relay::{Look, Waits};

use super::body::{self, QueryKeys, query};
use super::resource;
use crate::access;
use crate::phase::Phase;
use crate::state::State;
use crate::status::ApiError;

/// Events or lines when the query doesn't say, and at most.
const USUAL_LIMIT: usize = 50;
const MOST: usize = 200;

/// How a client says that it doesn't wait (RFC 7240).
const RESPOND_ASYNC: &str = "respond-async";

/// JSON Lines.
const JSON_LINES: &str = "application/jsonl; charset=utf-8";

/// Adds the narrator's routes.
pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/narrator/messages", &[Method::POST]).route(web::post().to(post)))
        .service(resource("/narrator/feed", &[Method::GET]).route(web::get().to(feed)))
        .service(resource("/narrator/raw", &[Method::GET]).route(web::get().to(raw)))
        .service(
            resource("/api/workspaces/{id}/narrator/messages", &[Method::POST])
                .route(web::post().to(post_in_workspace)),
        )
        .service(resource("/api/workspaces/{id}/narrator/feed", &[Method::GET]).route(web::get().to(feed_of_workspace)))
        .service(resource("/api/workspaces/{id}/narrator/raw", &[Method::GET]).route(web::get().to(raw_of_workspace)));
}

async fn post(request: HttpRequest, payload: Payload, state: web::Data<State>) -> Result<HttpResponse, ApiError> {
    tell(&request, payload, &state, None).await
}

async fn post_in_workspace(
    request: HttpRequest,
    id: web::Path<String>,
    payload: Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    tell(&request, payload, &state, Some(id.into_inner())).await
}

async fn feed(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, ApiError> {
    let query = query(&request)?;
    let workspace = query.required("workspaceId")?.to_owned();
    Ok(HttpResponse::Ok().json(state.narrator.feed(look(&query, workspace)?).await?))
}

async fn feed_of_workspace(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let look = look(&query(&request)?, id.into_inner())?;
    Ok(HttpResponse::Ok().json(state.narrator.feed(look).await?))
}

async fn raw(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, ApiError> {
    let query = query(&request)?;
    let workspace = query.required("workspaceId")?.to_owned();
    lines(&state, look(&query, workspace)?).await
}

async fn raw_of_workspace(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    lines(&state, look(&query(&request)?, id.into_inner())?).await
}

/// Says something to a narrator. The work on it goes on when the client goes away.
async fn tell(
    request: &HttpRequest,
    payload: Payload,
    state: &State,
    workspace: Option<String>,
) -> Result<HttpResponse, ApiError> {
    let wrong = |detail: String| ApiError::new(ErrorCode::InvalidRequest, detail);
    let body = body::read(payload, state).await?;
    let mut message = NarratorMessage::parse(&body).map_err(|error| wrong(error.to_string()))?;
    if let Some(workspace) = workspace {
        if let Some(other) = message.workspace_id.filter(|other| *other != workspace) {
            return Err(wrong(format!(
                "the body's workspaceId {other:?} is not the path's {workspace:?}"
            )));
        }
        message.workspace_id = Some(workspace);
    }
    let waits = if prefers_no_answer(request) {
        Waits::ForNothing
    } else {
        Waits::ForTheAnswer
    };
    let narrator = state.narrator.clone();
    state.check_serving()?;
    state.access.count_use(access::client(request))?;
    let mut phase = state.phase.clone();
    let accepted = tokio::select! {
        biased;
        // A relay may be waited for much longer than a stop may take.
        _ = phase.wait_for(|phase| *phase == Phase::Stopping) => return Err(ApiError::draining()),
        told = state.outlive(async move { narrator.tell(message, waits).await }) => told??,
    };
    let mut response = HttpResponse::Accepted();
    if waits == Waits::ForNothing {
        response.insert_header((HeaderName::from_static("preference-applied"), RESPOND_ASYNC));
    }
    Ok(response.json(accepted))
}

fn prefers_no_answer(request: &HttpRequest) -> bool {
    let values = request
        .headers()
        .get_all("prefer")
        .filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split([',', ';']));
    preferences.any(|preference| preference.trim().eq_ignore_ascii_case(RESPOND_ASYNC))
}

fn look(query: &QueryKeys, workspace: String) -> Result<Look, ApiError> {
    let limit = match query.number("limit")? {
        None => USUAL_LIMIT,
        Some(limit) if (1..=MOST as u64).contains(&limit) => limit as usize,
        Some(limit) => {
            let detail = format!("limit={limit} must be 1 to {MOST}");
            return Err(ApiError::new(ErrorCode::InvalidRequest, detail));
        }
    };
    Ok(Look {
        workspace,
        conversation: query.text("conversationId").map(str::to_owned),
        limit,
    })
}

async fn lines(state: &State, look: Look) -> Result<HttpResponse, ApiError> {
    let lines = state.narrator.raw(look).await?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, JSON_LINES)).body(lines))
}
