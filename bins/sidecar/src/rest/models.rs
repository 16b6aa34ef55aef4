//! Which models there are.

use actix_web::{HttpResponse, web};

use crate::state::State;

/// `GET /models`: what may be asked for, and what the drivers' servers have beside it.
pub(super) async fn list(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(state.engines.list().await)
}
