//! Which description an operation has: one without any doesn't compile.

use super::operation::Operation;
use super::{agents, controllers, conversations, narrator, server, turns};
use crate::routes::OperationId;

/// Returns the description of an operation.
pub(super) const fn description(operation: OperationId) -> Operation {
    match operation {
        OperationId::GetHealth => server::HEALTH,
        OperationId::GetHealthAlias => server::HEALTH_ALIAS,
        OperationId::GetReadiness => server::READINESS,
        OperationId::GetMetrics => server::METRICS,
        OperationId::ListModels => server::MODELS,
        OperationId::GetOpenApi => server::OPENAPI,
        OperationId::GetAsyncApi => server::ASYNCAPI,
        OperationId::OpenSocket => server::SOCKET,

        OperationId::ListAgents => agents::LIST,
        OperationId::GetAgent => agents::GET,
        OperationId::PutAgent => agents::PUT,
        OperationId::DeleteAgent => agents::DELETE,

        OperationId::ListConversations => conversations::LIST,
        OperationId::GetConversation => conversations::GET,
        OperationId::DeleteConversation => conversations::DELETE,
        OperationId::GetConversationImport => conversations::GET_IMPORT,
        OperationId::ImportConversation => conversations::IMPORT,
        OperationId::DeleteConversationImport => conversations::DELETE_IMPORT,
        OperationId::ListEvents => conversations::EVENTS,
        OperationId::ExportConversation => conversations::EXPORT,
        OperationId::GetPrompt => conversations::PROMPT,

        OperationId::SetHead => turns::SET_HEAD,
        OperationId::StartTurn => turns::START,
        OperationId::RegenerateTurn => turns::REGENERATE,
        OperationId::CancelTurn => turns::CANCEL,
        OperationId::AnswerTool => turns::ANSWER_TOOL,

        OperationId::SendNarratorMessage => narrator::SEND,
        OperationId::GetNarratorFeed => narrator::GET_FEED,
        OperationId::GetNarratorLog => narrator::GET_LOG,
        OperationId::SendWorkspaceNarratorMessage => narrator::SEND_IN_WORKSPACE,
        OperationId::GetWorkspaceNarratorFeed => narrator::GET_FEED_OF_WORKSPACE,
        OperationId::GetWorkspaceNarratorLog => narrator::GET_LOG_OF_WORKSPACE,

        OperationId::ListControllers => controllers::LIST,
        OperationId::RegisterController => controllers::REGISTER,
        OperationId::ReleaseController => controllers::RELEASE,
        OperationId::KeepControllerAlive => controllers::KEEP_ALIVE,
        OperationId::PublishEvents => controllers::PUBLISH,
    }
}
