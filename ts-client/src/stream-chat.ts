// `streamChat`: opens a stream and returns the functions of the application.
import { Session } from './session.js'
import type { StreamChatOptions } from './stream-options.js'
import type { ToolAnswer } from './tool-calls.js'
import type { OutgoingMessage, Regeneration, TurnResult } from './turn.js'

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
  const session = new Session(options)
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
