//! The HTTP routes: the one list of paths, their methods, and the operation behind each.
//!
//! A server registers the paths of this list, and `openapi.json` describes them; neither repeats a path or a method.
//! What an operation takes and answers is never here: `schema/openapi` describes it.

use serde::Serialize;

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Starts or adds something; a repeated request may do it twice.
    Post,
    /// Writes; a repeated request changes nothing more.
    Put,
    /// Removes.
    Delete,
}

impl Method {
    /// Returns the method as a request has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// A path and what can be done there: OpenAPI's path item.
#[derive(Debug, Clone, Copy)]
pub struct PathItem {
    /// The path's template: `/agents/{id}`.
    pub path: &'static str,
    /// The methods in the order of `Allow`, each with its operation.
    pub operations: &'static [(Method, OperationId)],
}

/// Declares the operations and the paths from one list of both.
macro_rules! paths {
    ($($path:literal: $($(#[$attribute:meta])* $method:ident $operation:ident),+;)+) => {
        /// An operation of the API: a method of a path. Written in camelCase, it is the `operationId` of OpenAPI.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "camelCase")]
        pub enum OperationId {
            $($(
                #[doc = concat!("`", stringify!($method), "` of `", $path, "`.")]
                $(#[$attribute])*
                $operation,
            )+)+
        }

        impl OperationId {
            /// Returns the template of the operation's path.
            #[must_use]
            pub const fn path(self) -> &'static str {
                match self {
                    $($(Self::$operation)|+ => $path,)+
                }
            }
        }

        /// The paths of the API. A server matches a request against them in this order.
        pub const PATHS: &[PathItem] = &[
            $(PathItem {
                path: $path,
                operations: &[$((Method::$method, OperationId::$operation)),+],
            },)+
        ];
    };
}

paths! {
    "/healthz": Get GetHealth;
    "/health": Get GetHealthAlias;
    "/readyz": Get GetReadiness;
    "/metrics": Get GetMetrics;
    "/models": Get ListModels;
    "/openapi.json": Get GetOpenApi;
    "/asyncapi.json": Get GetAsyncApi;
    "/ws/chat": Get OpenSocket;

    "/agents": Get ListAgents;
    "/agents/{id}": Get GetAgent, Put PutAgent, Delete DeleteAgent;

    "/conversations": Get ListConversations;
    // Before the template that matches it too. It has all methods of a conversation, as one may have the id `import`.
    "/conversations/import": Get GetConversationImport, Post ImportConversation, Delete DeleteConversationImport;
    "/conversations/{id}": Get GetConversation, Delete DeleteConversation;
    "/conversations/{id}/events": Get ListEvents;
    "/conversations/{id}/export": Get ExportConversation;
    "/conversations/{id}/prompt": Get GetPrompt;

    "/conversations/{id}/head": Put SetHead;
    "/conversations/{id}/turns": Post StartTurn;
    "/conversations/{id}/turns/{turnId}/regenerate": Post RegenerateTurn;
    "/conversations/{id}/turns/{turnId}/cancel": Post CancelTurn;
    "/conversations/{id}/turns/{turnId}/tool-output": Post AnswerTool;

    "/narrator/messages": #[serde(rename = "tellNarrator")] Post SendNarratorMessage;
    "/narrator/feed": Get GetNarratorFeed;
    "/narrator/raw": Get GetNarratorLog;
    "/api/workspaces/{id}/narrator/messages":
        #[serde(rename = "tellWorkspaceNarrator")] Post SendWorkspaceNarratorMessage;
    "/api/workspaces/{id}/narrator/feed": Get GetWorkspaceNarratorFeed;
    "/api/workspaces/{id}/narrator/raw": Get GetWorkspaceNarratorLog;

    "/controllers": Get ListControllers, Post RegisterController;
    "/controllers/{id}": Delete ReleaseController;
    "/controllers/{id}/keepalive": Put KeepControllerAlive;
    "/controllers/{id}/events": Post PublishEvents;
}

impl OperationId {
    /// The operations that need no key: a supervisor polls them.
    pub const WITHOUT_KEY: [Self; 3] = [Self::GetHealth, Self::GetHealthAlias, Self::GetReadiness];
}
