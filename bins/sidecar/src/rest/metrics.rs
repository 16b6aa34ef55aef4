//! `GET /metrics`: counters in the text format of Prometheus.
//!
//! Only numbers that are really counted, since the start of the process; no id and no text of a conversation is a
//! label.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use prometheus::TextEncoder;

use crate::api_error::ApiError;
use crate::state::AppState;

/// Version 0.0.4 of the text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`.
pub(super) async fn metrics(state: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let mut families = state.chat.metrics();
    families.extend(state.server_metrics.gather(state.sockets.open()));
    let text = TextEncoder::new().encode_to_string(&families);
    let text = text.map_err(|error| ApiError::internal("the metrics' text", &error))?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, TEXT_FORMAT)).body(text))
}
