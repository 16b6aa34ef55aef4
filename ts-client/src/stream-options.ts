// How a stream is opened: the options of `streamChat`, with their defaults.
import type { ReconnectOptions } from './backoff.js'
import type { ChatEvent } from './events.js'
import type { ChatOptions } from './frames.js'
import type { ConnectionState } from './reconnecting-socket.js'
import type { SocketFactory } from './socket.js'
import type { ToolHandler } from './tool-calls.js'

/** Options of a stream. */
export interface StreamChatOptions {
  /** The chat socket, e.g. `ws://localhost:8000/ws/chat`; a bare origin gets that path. */
  readonly backendUrl: string
  /** The agent that answers, unless a message names another. */
  readonly agentId: string
  /** The conversation to continue; a new one if absent. */
  readonly conversationId?: string
  /**
   * Reads the conversation's log from after this `seq` at once, before any message: 0 shows all of it.
   * Without it, reading starts with the first message. The conversation must exist.
   */
  readonly after?: number
  /** Options of every answer; a message's own win. */
  readonly options?: ChatOptions
  /** Answers the tool calls of this stream's turns, each one once; a message's own `onTool` wins. */
  readonly onTool?: ToolHandler
  /** Called with each event, in order; a turn's last event comes before its promise settles. */
  readonly onEvent?: (event: ChatEvent) => void
  /** Called with each frame that is no known event: the JSON value, or the frame's data if it isn't JSON. */
  readonly onUnknownEvent?: (frame: unknown) => void
  /** Called with what a callback has thrown; without it, the error is thrown again as an uncaught one. */
  readonly onCallbackError?: (error: unknown) => void
  /** Called when the connection opens, breaks, becomes idle or closes. */
  readonly onConnection?: (state: ConnectionState) => void
  /** Creates the socket; needed only where there is neither a `WebSocket` nor the package `ws`. */
  readonly socketFactory?: SocketFactory
  /**
   * `eager` sends a hello at once, which is answered by `ready`; by default the first message opens the chat.
   */
  readonly handshake?: 'lazy' | 'eager'
  /** How to reconnect after a lost connection; `false`: not at all. */
  readonly reconnect?: ReconnectOptions | false
  /** Sent in the first frame of each connection if the sidecar requires a key; never in the URL. */
  readonly apiKey?: string
}
