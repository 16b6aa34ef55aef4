//! `/agents`: lists, reads, writes and deletes agents.

use actix_web::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, web};
use agent_store::{Agent, AgentId, Condition, Draft};
use protocol::{AgentDraft, AgentList, ErrorCode};

use super::body;
use crate::api_error::ApiError;
use crate::state::AppState;

/// `GET /agents`.
pub(super) async fn list(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let agents = state.with_agents(|agents| agents.list()).await??;
    Ok(HttpResponse::Ok().json(AgentList {
        agents: agents.into_iter().map(to_wire).collect(),
    }))
}

/// `GET /agents/{id}`.
pub(super) async fn get(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let id = parse_existing_id(&id)?;
    let agent = state.with_agents(move |agents| agents.get(&id)).await??;
    let etag = agent.etag();
    if matches_if_none_match(&request, &etag) {
        return Ok(HttpResponse::NotModified().insert_header((ETAG, etag)).finish());
    }
    Ok(HttpResponse::Ok().insert_header((ETAG, etag)).json(to_wire(agent)))
}

/// Returns true if `If-None-Match` has this version; weak tags count, as the header's comparison is weak.
fn matches_if_none_match(request: &HttpRequest, etag: &str) -> bool {
    let values = request
        .headers()
        .get_all(IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// `PUT /agents/{id}`: writes the agent, new or not.
pub(super) async fn put(
    request: HttpRequest,
    id: web::Path<String>,
    payload: Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let id = AgentId::parse(&id).map_err(|error| ApiError::unprocessable(error.to_string()))?;
    let condition = parse_if_match(&request)?;
    let body = body::read(payload, &state).await?;
    let draft = AgentDraft::parse(&body).map_err(|error| ApiError::unprocessable(error.to_string()))?;
    if let Some(other) = draft.id.filter(|other| other != id.as_str()) {
        return Err(ApiError::unprocessable(format!(
            "the body's id {other:?} is not the path's {:?}",
            id.as_str()
        )));
    }
    let draft = Draft {
        id,
        name: draft.name,
        system_prompt: draft.system_prompt,
        markdown_context: draft.markdown_context,
    };
    let put = state
        .with_agents(move |agents| agents.put(draft, condition.as_ref()))
        .await??;
    let mut response = if put.created {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    };
    if put.created {
        response.insert_header((LOCATION, format!("/agents/{}", put.agent.id)));
    }
    Ok(response
        .insert_header((ETAG, put.agent.etag()))
        .json(to_wire(put.agent)))
}

/// `DELETE /agents/{id}`.
pub(super) async fn delete(id: web::Path<String>, state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let id = parse_existing_id(&id)?;
    state.with_agents(move |agents| agents.delete(&id)).await??;
    Ok(HttpResponse::NoContent().finish())
}

/// Parses the id of an agent that should exist: a malformed id names no agent.
fn parse_existing_id(id: &str) -> Result<AgentId, ApiError> {
    AgentId::parse(id).map_err(|_| ApiError::agent_not_found())
}

/// Parses `If-Match`; several such headers are one list.
fn parse_if_match(request: &HttpRequest) -> Result<Option<Condition>, ApiError> {
    let invalid = |detail: String| ApiError::new(ErrorCode::InvalidRequest, detail);
    let tags: Result<Vec<&str>, _> = request
        .headers()
        .get_all(IF_MATCH)
        .map(|value| value.to_str())
        .collect();
    let tags = tags.map_err(|_| invalid("If-Match is not text".to_owned()))?;
    if tags.is_empty() {
        return Ok(None);
    }
    Condition::parse_if_match(&tags.join(", "))
        .map(Some)
        .map_err(|error| invalid(error.to_string()))
}

fn to_wire(agent: Agent) -> protocol::Agent {
    protocol::Agent {
        id: agent.id.to_string(),
        name: agent.name,
        system_prompt: agent.system_prompt,
        markdown_context: agent.markdown_context,
    }
}
