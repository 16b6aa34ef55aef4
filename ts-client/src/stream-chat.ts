// `streamChat`: opens a stream and returns the functions of the application.
import { reconnectPolicy, type ReconnectOptions } from './backoff.js'
import type { ChatEvent } from './events.js'
import { mergeOptions, type ChatOptions } from './frames.js'
import type { ConnectionState } from './reconnecting-socket.js'
import { Session } from './session.js'
import { platformSocket, type SocketFactory } from './socket.js'
import type { ToolAnswer, ToolHandler } from './tool-calls.js'
import type { OutgoingMessage, Regeneration, TurnResult } from './turn.js'
import { socketUrl } from './url.js'

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

/** An open stream. Its functions need no `this`. */
export interface ChatStream {
  /**
   * Sends a message at once and resolves when its turn has ended.
   *
   * Rejects with a ChatError when the turn fails; the rejection never counts as unhandled.
   *
   * @throws Error at the call itself, `Cannot send message: socket already closed`, after `stop()`, after
   * `detach()`, and after a lost connection with `reconnect: false`.
   */
  readonly sendMessage: (message: OutgoingMessage) => Promise<TurnResult>
  /**
   * Asks for another answer to a turn's message, in a new turn beside it; resolves and rejects as
   * `sendMessage` does. The next message follows the new turn.
   *
   * @throws Error after `stop()` and the like, as `sendMessage` does.
   */
  readonly regenerate: (again: Regeneration) => Promise<TurnResult>
  /**
   * Answers a tool call, where no `onTool` does. While the connection is lost, the output waits for the next
   * one.
   *
   * If the server refuses it, an `error` event without `seq` follows; the turn goes on.
   *
   * @throws Error after `stop()` and the like, as `sendMessage` does; TypeError if the output isn't JSON;
   * RangeError if it is too large for one frame.
   */
  readonly sendToolOutput: (answer: ToolAnswer) => void
  /**
   * Closes the stream and cancels its turns: open promises resolve as `cancelled`. Further calls do nothing.
   */
  readonly stop: () => void
  /** Cancels one turn, or all of this stream; the stream stays open. */
  readonly cancel: (turnId?: string) => void
  /**
   * Closes the stream without cancelling: running turns end on the server. Open promises reject as
   * `interrupted`.
   */
  readonly detach: () => void
  /** The conversation of the next message. */
  readonly conversationId: string
}

/**
 * Opens a stream of chat with an agent; resolves once the socket is open.
 *
 * @throws Error `WebSocket closed before opening` when it can't be opened.
 */
export async function streamChat(options: StreamChatOptions): Promise<ChatStream> {
  const session = new Session({
    url: socketUrl(options.backendUrl),
    factory: options.socketFactory ?? platformSocket,
    policy: reconnectPolicy(options.reconnect),
    agentId: options.agentId,
    conversationId: options.conversationId,
    options: mergeOptions(options.options),
    isEager: options.handshake === 'eager',
    apiKey: options.apiKey,
    after: options.after,
    onTool: options.onTool,
    onEvent: options.onEvent,
    onUnknownEvent: options.onUnknownEvent,
    onCallbackError: options.onCallbackError,
    onConnection: options.onConnection
  })
  await session.open()
  return {
    sendMessage: (message) => session.sendMessage(message),
    regenerate: (again) => session.regenerate(again),
    sendToolOutput: (answer) => session.sendToolOutput(answer),
    stop: () => session.stop(),
    cancel: (turnId) => session.cancel(turnId),
    detach: () => session.detach(),
    get conversationId() {
      return session.conversationId
    }
  }
}
