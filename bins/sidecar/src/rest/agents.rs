//! `/agents`: read, written and deleted one by one.

use actix_web::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, web};
use agent_store::{Agent, AgentId, AgentStoreError, Condition, Draft};
use protocol::{AgentDraft, AgentList, ErrorCode};

use super::body;
use crate::state::State;
use crate::status::{ApiError, Chain};

/// `GET /agents`.
pub(super) async fn list(state: web::Data<State>) -> Result<HttpResponse, ApiError> {
    let agents = state.blocking(|agents| agents.list()).await?.map_err(refuse)?;
    Ok(HttpResponse::Ok().json(AgentList {
        agents: agents.into_iter().map(on_the_wire).collect(),
    }))
}

/// `GET /agents/{id}`.
pub(super) async fn get(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let id = existing(&id)?;
    let agent = state.blocking(move |agents| agents.get(&id)).await?.map_err(refuse)?;
    let etag = agent.etag();
    if is_known(&request, &etag) {
        return Ok(HttpResponse::NotModified().insert_header((ETAG, etag)).finish());
    }
    Ok(HttpResponse::Ok().insert_header((ETAG, etag)).json(on_the_wire(agent)))
}

/// Whether `If-None-Match` names this version; weak tags count, as they do for every reader.
fn is_known(request: &HttpRequest, etag: &str) -> bool {
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
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let id = AgentId::parse(&id).map_err(|error| ApiError::unprocessable(error.to_string()))?;
    let condition = condition(&request)?;
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
        .blocking(move |agents| agents.put(draft, condition.as_ref()))
        .await?
        .map_err(refuse)?;
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
        .json(on_the_wire(put.agent)))
}

/// `DELETE /agents/{id}`.
pub(super) async fn delete(id: web::Path<String>, state: web::Data<State>) -> Result<HttpResponse, ApiError> {
    let id = existing(&id)?;
    state
        .blocking(move |agents| agents.delete(&id))
        .await?
        .map_err(refuse)?;
    Ok(HttpResponse::NoContent().finish())
}

/// What is no id names no agent.
fn existing(id: &str) -> Result<AgentId, ApiError> {
    AgentId::parse(id).map_err(|_| ApiError::agent_not_found())
}

/// Reads `If-Match`; several such headers are one list.
fn condition(request: &HttpRequest) -> Result<Option<Condition>, ApiError> {
    let refused = |detail: String| ApiError::new(ErrorCode::InvalidRequest, detail);
    let tags: Result<Vec<&str>, _> = request
        .headers()
        .get_all(IF_MATCH)
        .map(|value| value.to_str())
        .collect();
    let tags = tags.map_err(|_| refused("If-Match is not text".to_owned()))?;
    if tags.is_empty() {
        return Ok(None);
    }
    Condition::parse_if_match(&tags.join(", "))
        .map(Some)
        .map_err(|error| refused(error.to_string()))
}

fn on_the_wire(agent: Agent) -> protocol::Agent {
    protocol::Agent {
        id: agent.id.to_string(),
        name: agent.name,
        system_prompt: agent.system_prompt,
        markdown_context: agent.markdown_context,
    }
}

fn refuse(error: AgentStoreError) -> ApiError {
    let detail = Chain(&error).to_string();
    match &error {
        AgentStoreError::NotFound { .. } => ApiError::agent_not_found(),
        AgentStoreError::ConditionFailed { .. } => ApiError::new(ErrorCode::Conflict, detail),
        AgentStoreError::InvalidCondition { .. } => ApiError::new(ErrorCode::InvalidRequest, detail),
        AgentStoreError::BlankName { .. } | AgentStoreError::Unstorable { .. } => ApiError::unprocessable(detail),
        // The file is the user's own: they can mend it when they are told how.
        AgentStoreError::Broken { .. } => ApiError::new(ErrorCode::Internal, detail),
        AgentStoreError::TooManyAgents { .. } => ApiError::new(ErrorCode::TooLarge, detail),
        AgentStoreError::Write { source, .. } => ApiError::disk(&format!("cannot write the agent: {source}"), &error),
        AgentStoreError::Delete { source, .. } => ApiError::disk(&format!("cannot delete the agent: {source}"), &error),
        _ => ApiError::internal("the agent store", &error),
    }
}
