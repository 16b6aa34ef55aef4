// Sends a stream's frames to the server, and those that a new connection has to start with.
import type { Cursors } from './cursors.js'
import type { ChatOptions, OutgoingFrame, ToolOutputFrame } from './frames.js'
import type { PendingTurns } from './pending-turns.js'
import type { ReconnectingSocket } from './reconnecting-socket.js'
import type { Turn } from './turn.js'

/** What the frames are sent over, and what they are about. */
export interface FrameSenderOptions {
  readonly socket: ReconnectingSocket
  readonly pending: PendingTurns
  readonly cursors: Cursors
  readonly agentId: string
  /** The options of every answer. */
  readonly chatOptions: ChatOptions
  readonly isEager: boolean
  readonly apiKey: string | undefined
  /**
   * Whether this connection has received frames as only an older server sends them, which knows nothing but
   * messages.
   */
  readonly isOlderServer: () => boolean
}

/** The sending half of a stream. Without a connection it sends nothing; `startConnection` makes up for it. */
export class FrameSender {
  readonly #options: FrameSenderOptions
  /** Whether this connection has sent its first frame, which carries the key. */
  #hasSentFrame = false
  #isFirstConnection = true
  /** The conversation of a first message that has bound options of its own. */
  #conversationToUnbind: string | undefined

  constructor(options: FrameSenderOptions) {
    this.#options = options
  }

  /**
   * Sends what a new connection starts with: the hello, where reading stopped, and what may not have arrived.
   */
  startConnection(currentConversation: string): void {
    const { pending, cursors, isEager } = this.#options
    // If the log can't be read, a socket that has sent nothing else would be closed.
    const readsBeforeMessages = this.#isFirstConnection && cursors.after(currentConversation) !== undefined
    this.#isFirstConnection = false
    this.#hasSentFrame = false
    this.#conversationToUnbind = undefined
    if (isEager || readsBeforeMessages) this.#hello(currentConversation)
    const turns = pending.all()
    for (const turn of turns) turn.isHeld = !turn.acknowledged
    const conversations = new Set([...turns.map((turn) => turn.conversationId), currentConversation])
    for (const conversationId of conversations) {
      // The message first: one that joins its turn moves the server's reader there, and resume moves it back.
      this.sendNextHeld(conversationId)
      this.#resume(conversationId)
    }
    for (const turn of turns) if (turn.cancelRequested && turn.acknowledged) this.cancel(turn.turnId)
  }

  /** Sends a turn's message, unless one before it is held. */
  sendTurn(turn: Turn): void {
    turn.isHeld = this.#options.pending.of(turn.conversationId).some((other) => other.isHeld)
    if (!turn.isHeld && this.#send(turn.frame)) turn.sent = true
  }

  /**
   * Sends the next message that is held, once no other turn of this stream runs in its conversation.
   *
   * After a connection was lost, messages that may have arrived are held while the log is read: it shows
   * which of them the server has. Sent all at once they would move its reader past what is unread.
   */
  sendNextHeld(conversationId: string): void {
    const turns = this.#options.pending.of(conversationId)
    const [next] = turns
    if (next?.isHeld !== true || turns.some((turn) => turn.acknowledged)) return
    next.isHeld = false
    if (this.#send(next.frame)) next.sent = true
    if (next.cancelRequested) this.cancel(next.turnId)
  }

  /** Cancels one turn, or all. A connection that has sent nothing yet has nothing to cancel. */
  cancel(turnId: string | undefined): void {
    if (!this.#hasSentFrame) return
    const conversationId =
      turnId === undefined ? undefined : this.#options.pending.get(turnId)?.conversationId
    this.#send({
      type: 'cancel',
      ...(turnId === undefined ? {} : { turnId }),
      ...(conversationId === undefined ? {} : { conversationId })
    })
  }

  /** Sends a ping. */
  ping(): void {
    this.#send({ type: 'ping' })
  }

  /** Sends a tool output; returns whether there was a connection. A first frame has to be a hello. */
  sendToolOutput(frame: ToolOutputFrame): boolean {
    if (!this.#hasSentFrame) this.#hello(frame.conversationId)
    return this.#send(frame)
  }

  /** Leaves conversations in which no turn of this stream runs, since a socket may read only so many. */
  leaveIdle(currentConversation: string): void {
    const { cursors, pending } = this.#options
    for (const conversationId of cursors.conversations()) {
      if (conversationId === currentConversation || pending.of(conversationId).length > 0) continue
      cursors.forget(conversationId)
      this.#send({ type: 'leave', conversationId })
    }
  }

  #hello(conversationId: string | undefined): void {
    const { agentId, chatOptions } = this.#options
    this.#send({
      type: 'hello',
      agentId,
      ...(conversationId === undefined ? {} : { conversationId }),
      ...(Object.keys(chatOptions).length > 0 ? { options: chatOptions } : {})
    })
  }

  /**
   * Records a first message that binds more than the stream's options, which every message carries anyway.
   */
  #noteBinding(first: OutgoingFrame): void {
    if (first.type !== 'message' || first.options === undefined) return
    const isExtra = Object.keys(first.options).some((key) => !(key in this.#options.chatOptions))
    if (isExtra) this.#conversationToUnbind = first.conversationId
  }

  /**
   * Restores the stream's options before the next message: to the server a first message is a hello too, but
   * to the application the options of one message apply to that message alone.
   */
  #unbind(next: OutgoingFrame): void {
    const conversationId = this.#conversationToUnbind
    if ((next.type !== 'message' && next.type !== 'regenerate') || conversationId === undefined) return
    this.#conversationToUnbind = undefined
    if (!this.#options.isOlderServer()) this.#hello(conversationId)
  }

  /**
   * Resumes reading where it stopped. It owns the running turn only if that is this stream's: `stop` cancels
   * owned turns.
   */
  #resume(conversationId: string): void {
    const { cursors, pending } = this.#options
    const turns = pending.of(conversationId)
    const after = cursors.after(conversationId)
    if (after === undefined) return
    cursors.noteReread(
      conversationId,
      turns.every((turn) => turn.acknowledged || turn.isHeld)
    )
    const ownsTurn = turns.some((turn) => turn.acknowledged)
    this.#send({ type: 'resume', conversationId, after, ...(ownsTurn ? { own: true } : {}) })
  }

  #send(frame: OutgoingFrame): boolean {
    const { socket, apiKey } = this.#options
    if (!socket.isOpen) return false
    const isFirst = !this.#hasSentFrame
    this.#hasSentFrame = true
    if (!isFirst) this.#unbind(frame)
    const isSent = socket.send(JSON.stringify(isFirst && apiKey !== undefined ? { ...frame, apiKey } : frame))
    if (isFirst && isSent) this.#noteBinding(frame)
    return isSent
  }
}
