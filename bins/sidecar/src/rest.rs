//! HTTP: the table of routes.
//!
//! Every response is JSON, errors included. A path that exists answers other methods with 405 and the list of its own.

mod agents;
mod archive;
mod body;
mod controllers;
mod conversations;
mod documents;
mod health;
mod metrics;
mod models;
mod narrator;
mod resource;
mod sse;
#[cfg(test)]
mod tests;
mod turns;

use actix_web::error::PathError;
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, PathConfig, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};
use protocol::ErrorCode;

use crate::api_error::ApiError;
use crate::http_guard::SOCKET_PATH;
use crate::socket;
use resource::resource;

/// Adds every route.
pub fn routes(config: &mut ServiceConfig) {
    let bad_path = |error: PathError, _: &HttpRequest| {
        ApiError::new(ErrorCode::InvalidRequest, format!("bad path: {error}")).into()
    };
    config
        .app_data(PathConfig::default().error_handler(bad_path))
        .service(resource("/healthz", &[Method::GET]).route(web::get().to(health::alive)))
        .service(resource("/health", &[Method::GET]).route(web::get().to(health::alive)))
        .service(resource("/readyz", &[Method::GET]).route(web::get().to(health::ready)))
        .service(resource("/metrics", &[Method::GET]).route(web::get().to(metrics::metrics)))
        .service(resource("/openapi.json", &[Method::GET]).route(web::get().to(documents::openapi)))
        .service(resource("/asyncapi.json", &[Method::GET]).route(web::get().to(documents::asyncapi)))
        .service(resource("/models", &[Method::GET]).route(web::get().to(models::list)))
        .service(resource("/agents", &[Method::GET]).route(web::get().to(agents::list)))
        .service(
            resource("/agents/{id}", &[Method::GET, Method::PUT, Method::DELETE])
                .route(web::get().to(agents::get))
                .route(web::put().to(agents::put))
                .route(web::delete().to(agents::delete)),
        )
        .service(resource("/conversations", &[Method::GET]).route(web::get().to(conversations::list)))
        .service(
            // A conversation may have the id `import`, so the other methods of a conversation are here too.
            conversation(
                "/conversations/{id:import}",
                &[Method::GET, Method::POST, Method::DELETE],
            )
            .route(web::post().to(archive::import)),
        )
        .service(conversation("/conversations/{id}", &[Method::GET, Method::DELETE]))
        .service(resource("/conversations/{id}/events", &[Method::GET]).route(web::get().to(conversations::events)))
        .service(resource("/conversations/{id}/export", &[Method::GET]).route(web::get().to(archive::export)))
        .service(resource("/conversations/{id}/prompt", &[Method::GET]).route(web::get().to(conversations::prompt)))
        .service(resource(SOCKET_PATH, &[Method::GET]).route(web::get().to(socket::upgrade)))
        .configure(turns::routes)
        .configure(narrator::routes)
        .configure(controllers::routes)
        .default_service(web::to(unknown_route));
}

/// Makes a resource that is a conversation, whatever further routes it has.
fn conversation(path: &str, methods: &[Method]) -> Resource {
    resource(path, methods)
        .route(web::get().to(conversations::get))
        .route(web::delete().to(conversations::delete))
}

async fn unknown_route(request: HttpRequest) -> HttpResponse {
    let detail = format!("there is nothing at {}", request.path());
    ApiError {
        status: StatusCode::NOT_FOUND,
        ..ApiError::new(ErrorCode::InvalidRequest, detail)
    }
    .response()
}
