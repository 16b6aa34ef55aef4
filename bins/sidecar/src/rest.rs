//! HTTP: the handler of each operation, registered on the paths that `protocol` lists.
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
mod turns;

use actix_web::error::PathError;
use actix_web::http::StatusCode;
use actix_web::web::{self, PathConfig, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Route};
use protocol::{ErrorCode, OperationId, PATHS};

use crate::api_error::ApiError;
use crate::socket;
use resource::resource;

/// Adds every route.
pub fn routes(config: &mut ServiceConfig) {
    let bad_path = |error: PathError, _: &HttpRequest| {
        ApiError::new(ErrorCode::InvalidRequest, format!("bad path: {error}")).into()
    };
    config.app_data(PathConfig::default().error_handler(bad_path));
    for item in PATHS {
        let operations = item.operations.iter();
        let routes = operations.map(|&(method, operation)| (method, handler(operation)));
        config.service(resource(pattern(item.path), routes));
    }
    config.default_service(web::to(unknown_route));
}

/// Returns the pattern by which actix-web matches a path.
fn pattern(path: &str) -> &str {
    if path == OperationId::ImportConversation.path() {
        // A conversation may have the id `import`, and its handlers read the id from the path.
        "/conversations/{id:import}"
    } else {
        path
    }
}

/// Returns the handler of an operation, for its method to be added.
fn handler(operation: OperationId) -> Route {
    match operation {
        OperationId::GetHealth | OperationId::GetHealthAlias => web::to(health::alive),
        OperationId::GetReadiness => web::to(health::ready),
        OperationId::GetMetrics => web::to(metrics::metrics),
        OperationId::ListModels => web::to(models::list),
        OperationId::GetOpenApi => web::to(documents::openapi),
        OperationId::GetAsyncApi => web::to(documents::asyncapi),
        OperationId::OpenSocket => web::to(socket::upgrade),

        OperationId::ListAgents => web::to(agents::list),
        OperationId::GetAgent => web::to(agents::get),
        OperationId::PutAgent => web::to(agents::put),
        OperationId::DeleteAgent => web::to(agents::delete),

        OperationId::ListConversations => web::to(conversations::list),
        OperationId::GetConversation | OperationId::GetConversationImport => web::to(conversations::get),
        OperationId::DeleteConversation | OperationId::DeleteConversationImport => web::to(conversations::delete),
        OperationId::ListEvents => web::to(conversations::events),
        OperationId::GetPrompt => web::to(conversations::prompt),
        OperationId::ExportConversation => web::to(archive::export),
        OperationId::ImportConversation => web::to(archive::import),

        OperationId::SetHead => web::to(turns::set_head),
        OperationId::StartTurn => web::to(turns::start),
        OperationId::RegenerateTurn => web::to(turns::regenerate),
        OperationId::CancelTurn => web::to(turns::cancel),
        OperationId::AnswerTool => web::to(turns::tool_output),

        OperationId::SendNarratorMessage => web::to(narrator::post),
        OperationId::GetNarratorFeed => web::to(narrator::feed),
        OperationId::GetNarratorLog => web::to(narrator::raw),
        OperationId::SendWorkspaceNarratorMessage => web::to(narrator::post_in_workspace),
        OperationId::GetWorkspaceNarratorFeed => web::to(narrator::feed_of_workspace),
        OperationId::GetWorkspaceNarratorLog => web::to(narrator::raw_of_workspace),

        OperationId::ListControllers => web::to(controllers::list),
        OperationId::RegisterController => web::to(controllers::register),
        OperationId::ReleaseController => web::to(controllers::release),
        OperationId::KeepControllerAlive => web::to(controllers::keep_alive),
        OperationId::PublishEvents => web::to(controllers::publish),
    }
}

async fn unknown_route(request: HttpRequest) -> HttpResponse {
    let detail = format!("there is nothing at {}", request.path());
    ApiError {
        status: StatusCode::NOT_FOUND,
        ..ApiError::new(ErrorCode::InvalidRequest, detail)
    }
    .response()
}
