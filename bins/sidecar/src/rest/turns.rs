//! `/conversations/{id}/turns` and `…/head`: turns without a socket, and the path that the next one follows.
//!
//! No socket owns a turn that begins here: it runs to its end whoever goes away. What comes of it is read from the log.

use actix_web::http::header::LOCATION;
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};
use chat::{ChatError, RegenerateCommand, TurnCommand, TurnHandle};
use conversation_store::StoreError;
use protocol::{CallOutput, ErrorCode, HeadChoice, Message, OptionsPatch, ProtocolError, Regenerate, TurnAccepted};

use super::conversations::check_name;
use super::{body, resource};
use crate::access;
use crate::state::State;
use crate::status::ApiError;

/// Adds the turns' routes.
pub(super) fn routes(config: &mut ServiceConfig) {
    let post = |path: &str| -> Resource { resource(path, &[Method::POST]) };
    config
        .service(resource("/conversations/{id}/head", &[Method::PUT]).route(web::put().to(set_head)))
        .service(post("/conversations/{id}/turns").route(web::post().to(start)))
        .service(post("/conversations/{id}/turns/{turnId}/regenerate").route(web::post().to(regenerate)))
        .service(post("/conversations/{id}/turns/{turnId}/cancel").route(web::post().to(cancel)))
        .service(post("/conversations/{id}/turns/{turnId}/tool-output").route(web::post().to(tool_output)));
}

/// `PUT /conversations/{id}/head`. Turns that run or wait have their parent already: it changes nothing for them.
async fn set_head(id: web::Path<String>, payload: Payload, state: web::Data<State>) -> Result<HttpResponse, ApiError> {
    let body = body::read(payload, &state).await?;
    let HeadChoice { turn_id } = HeadChoice::parse(&body).map_err(refuse)?;
    check_name(&id)?;
    let (store, id) = (state.store.clone(), id.into_inner());
    state
        .outlive(async move { store.set_head(&id, &turn_id).await })
        .await??;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /conversations/{id}/turns`.
async fn start(
    request: HttpRequest,
    id: web::Path<String>,
    payload: Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    state.access.count_use(access::client(&request))?;
    let id = id.into_inner();
    let body = body::read(payload, &state).await?;
    let message = Message::parse(&body).map_err(refuse)?;
    check_path("conversationId", &id, message.conversation_id.as_deref())?;
    let command = TurnCommand {
        agent_id: message
            .agent_id
            .ok_or_else(|| refuse(ProtocolError::MissingKey { key: "agentId" }))?,
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

/// `POST /conversations/{id}/turns/{turnId}/regenerate`. The path names the turn; the body, if there is one, says the rest.
async fn regenerate(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    state.access.count_use(access::client(&request))?;
    let (id, turn) = path.into_inner();
    let body = body::read(payload, &state).await?;
    let regenerate = Regenerate::parse(&body, &turn).map_err(refuse)?;
    check_path("turnId", &turn, Some(&regenerate.turn_id))?;
    check_path("conversationId", &id, regenerate.conversation_id.as_deref())?;
    check_name(&id)?;
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

/// What the body says once more of the path has to be the same.
fn check_path(key: &str, path: &str, body: Option<&str>) -> Result<(), ApiError> {
    match body {
        Some(other) if other != path => Err(ApiError::new(
            ErrorCode::InvalidRequest,
            format!("the body's {key} {other:?} is not the path's {path:?}"),
        )),
        _ => Ok(()),
    }
}

/// The answer to a turn that has begun, with where its events are.
fn accepted(begun: TurnHandle) -> HttpResponse {
    let before = begun.first_seq.saturating_sub(1);
    let events = format!("/conversations/{}/events?after={before}", begun.conversation_id);
    HttpResponse::Accepted()
        .insert_header((LOCATION, events))
        .json(TurnAccepted {
            conversation_id: begun.conversation_id,
            turn_id: begun.turn_id,
            first_seq: begun.first_seq,
        })
}

/// `POST /conversations/{id}/turns/{turnId}/cancel`.
async fn cancel(path: web::Path<(String, String)>, state: web::Data<State>) -> Result<HttpResponse, ApiError> {
    let (id, turn) = path.into_inner();
    check_name(&id)?;
    state.cancel(&id, &turn).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// `POST /conversations/{id}/turns/{turnId}/tool-output`.
async fn tool_output(
    path: web::Path<(String, String)>,
    payload: Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (id, turn) = path.into_inner();
    let body = body::read(payload, &state).await?;
    let CallOutput { call_id, output } = CallOutput::parse(&body).map_err(refuse)?;
    match state.chat.tool_output(&id, &turn, &call_id, output) {
        Ok(()) => Ok(HttpResponse::Accepted().finish()),
        Err(error @ ChatError::NoSuchCall { .. }) => Err(not_waiting(&state, &id, &turn, error).await?),
        Err(error) => Err(error.into()),
    }
}

/// Why nothing waits for an output: there is no such turn, or it doesn't ask, and then the request is right and comes at the wrong time.
async fn not_waiting(state: &State, id: &str, turn: &str, error: ChatError) -> Result<ApiError, ApiError> {
    check_name(id)?;
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

fn refuse(error: ProtocolError) -> ApiError {
    ApiError::new(error.code(), error.to_string())
}
