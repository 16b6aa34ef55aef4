// Streaming chat with the sidecar's agents: the public API. Everything else is private.

// Agents and models, over REST.
export { deleteAgent, getAgent, listAgents, updateAgent } from './agents.js'
export { listModels } from './models.js'
export { DEFAULT_BASE } from './url.js'
export type { RequestOptions } from './rest.js'
export type { Agent } from './agents.js'
export type { Model, ModelList } from './rest-types.js'

// Narrators and controllers, over REST.
export { narratorFeed, postNarratorMessage } from './narrator.js'
export {
  keepaliveController,
  publishControllerEvents,
  registerController,
  releaseController
} from './controllers.js'
export type { NarratorFeedQuery, OutgoingNarratorMessage } from './narrator.js'
export type { ControllerHolder, ControllerPublication } from './controllers.js'
export type { FeedEvent, FeedEventType, FeedSeverity, NarratorAccepted, NarratorFeed } from './rest-types.js'
export type {
  ControllerEvent,
  ControllerKeptAlive,
  ControllerLease,
  ControllerPublished,
  ControllerRegistration
} from './rest-types.js'

// Chat, over a WebSocket.
export { streamChat } from './stream-chat.js'
export type { ChatStream } from './stream-chat.js'
export type { StreamChatOptions } from './stream-options.js'
export type { ChatOptions, ToolDefinition } from './frames.js'
export type { ToolAnswer, ToolCall, ToolHandler } from './tool-calls.js'
export type { OutgoingMessage, Regeneration, TurnResult } from './turn.js'
export type { ConnectionState } from './reconnecting-socket.js'
export type { ReconnectOptions, Schedule } from './backoff.js'
export type { ChatSocket, SocketFactory } from './socket.js'

// Events.
export type { ChatEvent, EventOf } from './events.js'
export type { ErrorCode, FinishReason, Limits, NarrationSource, Timings, Usage } from './events.js'

// Errors.
export { ApiError, ChatError } from './errors.js'
