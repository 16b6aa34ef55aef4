// `streamChat`: opens a stream and hands out what an application does with it.
import { reconnectPolicy, type ReconnectOptions } from './backoff.js'
import type { ChatEvent } from './events.js'
import { mergeOptions, type ChatOptions } from './frames.js'
import type { ConnectionState } from './link.js'
import { Session } from './session.js'
import { platformSocket, type SocketFactory } from './socket.js'
import type { ToolAnswer, ToolHandler } from './tool-calls.js'
import type { OutgoingMessage, Regeneration, TurnResult } from './turn.js'
import { socketUrl } from './url.js'

/** How to open a stream. */
export interface StreamChatOptions {
  /** The chat socket, e.g. `ws://localhost:8000/ws/chat`; a bare origin gets that path. */
  readonly backendUrl: string
  /** The agent that answers, unless a message names another. */
  readonly agentId: string
  /** The conversation to go on with; a new one when absent. */
  readonly conversationId?: string
  /**
   * Reads the conversation's log from beyond this `seq` at once, before any message: 0 shows all of it. Without it,
   * reading begins with the first message. The conversation must exist.
   */
  readonly after?: number
  /** Settings of every answer; a message's own win. */
  readonly options?: ChatOptions
  /** Answers the tool calls of this stream's turns, each one once; a message's own `onTool` wins. */
  readonly onTool?: ToolHandler
  /** Called with each event, in order; a turn's last event comes before its promise settles. */
  readonly onEvent?: (event: ChatEvent) => void
  /**
   * Called with each frame that is no known event: the JSON value, or the frame's data when it isn't JSON.
   */
  readonly onUnknownEvent?: (frame: unknown) => void
  /** Called with what a callback has thrown; without it, the error is thrown again as an uncaught one. */
  readonly onCallbackError?: (error: unknown) => void
  /** Called when the connection opens, breaks, rests or ends. */
  readonly onConnection?: (state: ConnectionState) => void
  /** Makes the socket; needed only where there is neither a `WebSocket` nor the package `ws`. */
  readonly socketFactory?: SocketFactory
  /** `eager` says hello at once and is answered by `ready`; by default the first message opens the talk. */
  readonly handshake?: 'lazy' | 'eager'
  /** How a lost connection is taken up again; `false`: not at all. */
  readonly reconnect?: ReconnectOptions | false
  /** Sent in the first frame of each connection when the sidecar asks for a key; never in the URL. */
  readonly apiKey?: string
}

/** An open stream. Its functions need no `this`. */
export interface ChatStream {
  /**
   * Sends a message at once and resolves when its turn has ended.
   *
   * Rejects with a ChatError when the turn fails; a rejection that nobody awaits is never "unhandled".
   *
   * @throws Error at the call itself, `Cannot send message: socket already closed`, after `stop()`, after
   * `detach()`, and after a lost connection that `reconnect: false` leaves lost.
   */
  readonly sendMessage: (message: OutgoingMessage) => Promise<TurnResult>
  /**
   * Has the words of a turn answered once more, by a new turn beside it; resolves and rejects as `sendMessage` does. What is
   * said next follows the new one.
   *
   * @throws Error after `stop()` and the like, as `sendMessage` does.
   */
  readonly regenerate: (again: Regeneration) => Promise<TurnResult>
  /**
   * Answers a tool call, where no `onTool` does. While the connection is lost, the answer waits for the next one.
   *
   * A server that refuses it says so in an `error` event without `seq`; the turn goes on.
   *
   * @throws Error after `stop()` and the like, as `sendMessage` does; TypeError when JSON can't say the output; RangeError
   * when it is too large for one frame.
   */
  readonly sendToolOutput: (answer: ToolAnswer) => void
  /** Ends the stream and cancels what it waits for: open promises resolve as `cancelled`. Twice is once. */
  readonly stop: () => void
  /** Cancels one turn, or all of this stream; the stream stays open. */
  readonly cancel: (turnId?: string) => void
  /** Leaves without stopping anything: running turns end on the server. Open promises reject as `interrupted`. */
  readonly detach: () => void
  /** The conversation that the next message goes on with. */
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
