//! `/models`: the models and whether they are available.

use actix_web::{HttpResponse, web};

use crate::state::AppState;

/// `GET /models`: what may be asked for, and what the drivers' servers have beside it.
pub(super) async fn list(state: web::Data<AppState>) -> HttpResponse {
    HttpResponse::Ok().json(state.engines.list().await)
}
