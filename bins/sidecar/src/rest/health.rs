//! `/healthz` and `/readyz`: whether the process serves, and whether the default model can answer.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use engine::Readiness;
use protocol::{ErrorCode, Health, Readiness as ReadinessBody};

use crate::api_error::ApiError;
use crate::state::AppState;

/// `GET /healthz`: the process serves.
pub(super) async fn alive(state: web::Data<AppState>) -> HttpResponse {
    HttpResponse::Ok().json(Health {
        status: "ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot_id: state.boot_id.clone(),
    })
}

/// `GET /readyz`: 200 if a turn would be answered now.
pub(super) async fn ready(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let not_yet = |code: ErrorCode, reason: String| ApiError {
        status: StatusCode::SERVICE_UNAVAILABLE,
        ..ApiError::new(code, reason)
    };
    state.check_serving()?;
    let model = state.engines.models.default_model();
    match state.engines.readiness() {
        Readiness::Ready => Ok(HttpResponse::Ok().json(ReadinessBody {
            status: "ready".to_owned(),
            model: model.to_owned(),
        })),
        Readiness::Loading => Err(not_yet(
            ErrorCode::ModelUnavailable,
            format!("model {model:?} is loading"),
        )),
        Readiness::Failed(reason) => Err(not_yet(
            ErrorCode::ModelUnavailable,
            format!("model {model:?} failed: {reason}"),
        )),
    }
}
