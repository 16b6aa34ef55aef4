//! `GET /openapi.json` and `GET /asyncapi.json`: the protocol's machine-readable descriptions.

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use protocol::{ASYNCAPI, OPENAPI};

/// `GET /openapi.json`.
pub(super) async fn openapi() -> HttpResponse {
    document(OPENAPI)
}

/// `GET /asyncapi.json`.
pub(super) async fn asyncapi() -> HttpResponse {
    document(ASYNCAPI)
}

fn document(text: &'static str) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(text)
}
