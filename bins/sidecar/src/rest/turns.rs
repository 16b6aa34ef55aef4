//! `/conversations/{id}/turns` and `…/head`: turns without a socket, and the turn that the next one continues.
//!
//! No socket owns a turn that starts here: it runs to its end even if the client goes away. Its events are read from
//! the log.

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::web::{self, Payload};
use actix_web::{HttpRequest, HttpResponse};
use chat::{ChatError, RegenerateCommand, TurnCommand, TurnHandle};
use conversation_store::StoreError;
use protocol::{CallOutput, ErrorCode, HeadChoice, Message, OptionsPatch, ProtocolError, Regenerate, TurnAccepted};

use super::body;
use super::conversations::check_id;
use crate::access;
use crate::api_error::ApiError;
use crate::state::AppState;

/// `PUT /conversations/{id}/head`. Turns that run or wait have their parent already: nothing changes for them.
pub(super) async fn set_head(
    id: web::Path<String>,
    payload: Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let body = body::read(payload, &state).await?;
    let HeadChoice { turn_id } = HeadChoice::parse(&body).map_err(invalid)?;
    check_id(&id)?;
    let (store, id) = (state.store.clone(), id.into_inner());
    state
        .spawn_detached(async move { store.set_head(&id, &turn_id).await })
        .await??;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /conversations/{id}/turns`.
pub(super) async fn start(
    request: HttpRequest,
    id: web::Path<String>,
    payload: Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    state.access.count_start(access::client_ip(&request))?;
    let id = id.into_inner();
    let body = body::read(payload, &state).await?;
    let message = Message::parse(&body).map_err(invalid)?;
    check_path("conversationId", &id, message.conversation_id.as_deref())?;
    let command = TurnCommand {
        agent_id: message
            .agent_id
            .ok_or_else(|| invalid(ProtocolError::MissingKey { key: "agentId" }))?,
        conversation_id: Some(id),
        turn_id: message.turn_id,
        parent_turn_id: message.parent_turn_id,
        edit_turn_id: message.edit_turn_id,
        message: message.message,
        hello_options: OptionsPatch::default(),
        options: message.options,
        tools: message.tools,
    };
    Ok(accepted(state.start_turn(command).await?))
}

/// `POST /conversations/{id}/turns/{turnId}/regenerate`. The path names the turn; the body, if there is one, has the
/// rest.
pub(super) async fn regenerate(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    state.access.count_start(access::client_ip(&request))?;
    let (id, turn) = path.into_inner();
    let body = body::read(payload, &state).await?;
    let regenerate = Regenerate::parse(&body, &turn).map_err(invalid)?;
    check_path("turnId", &turn, Some(&regenerate.turn_id))?;
    check_path("conversationId", &id, regenerate.conversation_id.as_deref())?;
    check_id(&id)?;
    let command = RegenerateCommand {
        conversation_id: id,
        turn_id: turn,
        new_turn_id: regenerate.new_turn_id,
        hello_options: OptionsPatch::default(),
        options: regenerate.options,
        tools: regenerate.tools,
    };
    Ok(accepted(state.regenerate(command).await?))
}

/// Checks that a key of the body repeats what the path says.
fn check_path(key: &str, path: &str, body: Option<&str>) -> Result<(), ApiError> {
    match body {
        Some(other) if other != path => Err(ApiError::new(
            ErrorCode::InvalidRequest,
            format!("the body's {key} {other:?} is not the path's {path:?}"),
        )),
        _ => Ok(()),
    }
}

/// Answers with a turn that has started, and where its events are.
fn accepted(handle: TurnHandle) -> HttpResponse {
    let after_seq = handle.first_seq.saturating_sub(1);
    let events = format!("/conversations/{}/events?after={after_seq}", handle.conversation_id);
    HttpResponse::Accepted()
        .insert_header((LOCATION, events))
        .json(TurnAccepted {
            conversation_id: handle.conversation_id,
            turn_id: handle.turn_id,
            first_seq: handle.first_seq,
        })
}

/// `POST /conversations/{id}/turns/{turnId}/cancel`.
pub(super) async fn cancel(
    path: web::Path<(String, String)>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let (id, turn) = path.into_inner();
    check_id(&id)?;
    state.cancel(&id, &turn).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// `POST /conversations/{id}/turns/{turnId}/tool-output`.
pub(super) async fn tool_output(
    path: web::Path<(String, String)>,
    payload: Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let (id, turn) = path.into_inner();
    let body = body::read(payload, &state).await?;
    let CallOutput { call_id, output } = CallOutput::parse(&body).map_err(invalid)?;
    match state.chat.tool_output(&id, &turn, &call_id, output) {
        Ok(()) => Ok(HttpResponse::Accepted().finish()),
        Err(error @ ChatError::NoSuchCall { .. }) => Err(missing_call_error(&state, &id, &turn, error).await?),
        Err(error) => Err(error.into()),
    }
}

/// Explains why no call waits for an output: the turn doesn't exist, or it exists and asks for none, which is a
/// conflict.
async fn missing_call_error(state: &AppState, id: &str, turn: &str, error: ChatError) -> Result<ApiError, ApiError> {
    check_id(id)?;
    if state.store.turn(id, turn).await?.is_some() {
        let code = error.code();
        return Ok(ApiError {
            status: StatusCode::CONFLICT,
            ..ApiError::new(code, error.to_string())
        });
    }
    Ok(StoreError::TurnNotFound {
        conversation: id.to_owned(),
        turn: turn.to_owned(),
    }
    .into())
}

fn invalid(error: ProtocolError) -> ApiError {
    ApiError::new(error.code(), error.to_string())
}
