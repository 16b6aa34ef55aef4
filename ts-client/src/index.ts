// Streaming chat with the sidecar's agents: what an application may import. Everything else is private.

// Agents, over REST.
export { deleteAgent, getAgent, listAgents, updateAgent } from './agents.js'
export { DEFAULT_BASE } from './url.js'
export type { RequestOptions } from './rest.js'
export type { Agent } from './agents.js'

// Chat, over a WebSocket.
export { streamChat } from './stream-chat.js'
export type { ChatStream, StreamChatOptions } from './stream-chat.js'
export type { ChatOptions } from './frames.js'
export type { OutgoingMessage, TurnResult } from './turn.js'
export type { ConnectionState } from './link.js'
export type { ReconnectOptions, Schedule } from './backoff.js'
export type { ChatSocket, SocketFactory } from './socket.js'

// What the server says.
export type { ChatEvent, EventOf } from './events.js'
export type { ErrorCode, FinishReason, Limits, Timings, Usage } from './events.js'

// What goes wrong.
export { ApiError, ChatError } from './errors.js'
