// What a stream says to the server, and what it has to say first on each new connection.
import type { Cursors } from './cursors.js'
import type { ChatOptions, Frame, ToolOutputFrame } from './frames.js'
import type { Ledger } from './ledger.js'
import type { Link } from './link.js'
import type { Turn } from './turn.js'

/** Who speaks, and what about. */
export interface SpeakerOptions {
  readonly link: Link
  readonly ledger: Ledger
  readonly cursors: Cursors
  readonly agentId: string
  readonly options: ChatOptions
  readonly isEager: boolean
  readonly apiKey: string | undefined
  /** Whether the server has spoken on this connection as only an older one does, which knows nothing but messages. */
  readonly isOlderServer: () => boolean
}

/** The sending half of a stream. Without a connection it says nothing; the next greeting makes up for it. */
export class Speaker {
  readonly #self: SpeakerOptions
  /** Whether this connection has sent its first frame, which carries the key. */
  #hasSpoken = false
  #isFirstConnection = true
  /** The conversation of a first message that has bound more than it should have. */
  #toUnbind: string | undefined

  constructor(self: SpeakerOptions) {
    this.#self = self
  }

  /** Says what a new connection has to hear: who we are, where we stopped, and what may not have arrived. */
  greet(currentConversation: string): void {
    const { ledger, cursors, isEager } = this.#self
    // A log that can't be read would end a socket that has said nothing else.
    const readsAtOnce = this.#isFirstConnection && cursors.after(currentConversation) !== undefined
    this.#isFirstConnection = false
    this.#hasSpoken = false
    this.#toUnbind = undefined
    if (isEager || readsAtOnce) this.#hello(currentConversation)
    const turns = ledger.all()
    for (const turn of turns) turn.isHeld = !turn.acknowledged
    const conversations = new Set([...turns.map((turn) => turn.conversationId), currentConversation])
    for (const conversationId of conversations) {
      // The message first: one that joins its turn moves the server's reader there, and resume moves it back.
      this.release(conversationId)
      this.#resume(conversationId)
    }
    for (const turn of turns) if (turn.cancelRequested && turn.acknowledged) this.cancel(turn.turnId)
  }

  /** Sends a turn's message, unless one before it is held. */
  post(turn: Turn): void {
    turn.isHeld = this.#self.ledger.of(turn.conversationId).some((other) => other.isHeld)
    if (!turn.isHeld && this.#send(turn.frame)) turn.sent = true
  }

  /**
   * Sends the next message that is held, once nothing else of ours runs in its conversation.
   *
   * After a connection was lost, messages that may have arrived are held while the log is read: there the
   * server says by itself which of them it has. Sent all at once they would move its reader past what is unread.
   */
  release(conversationId: string): void {
    const turns = this.#self.ledger.of(conversationId)
    const [next] = turns
    if (next?.isHeld !== true || turns.some((turn) => turn.acknowledged)) return
    next.isHeld = false
    if (this.#send(next.frame)) next.sent = true
    if (next.cancelRequested) this.cancel(next.turnId)
  }

  /** Cancels one turn, or all. A connection that has said nothing yet has nothing to cancel. */
  cancel(turnId: string | undefined): void {
    if (!this.#hasSpoken) return
    const conversationId = turnId === undefined ? undefined : this.#self.ledger.get(turnId)?.conversationId
    this.#send({
      type: 'cancel',
      ...(turnId === undefined ? {} : { turnId }),
      ...(conversationId === undefined ? {} : { conversationId })
    })
  }

  /** Asks for a sign of life. */
  ping(): void {
    this.#send({ type: 'ping' })
  }

  /** Answers a tool call, and says whether there was a connection. A first frame has to say who we are. */
  answer(frame: ToolOutputFrame): boolean {
    if (!this.#hasSpoken) this.#hello(frame.conversationId)
    return this.#send(frame)
  }

  /** Stops reading conversations in which nothing of ours runs, for a socket may read only so many. */
  leaveIdle(currentConversation: string): void {
    const { cursors, ledger } = this.#self
    for (const conversationId of cursors.conversations()) {
      if (conversationId === currentConversation || ledger.of(conversationId).length > 0) continue
      cursors.forget(conversationId)
      this.#send({ type: 'leave', conversationId })
    }
  }

  #hello(conversationId: string | undefined): void {
    const { agentId, options } = this.#self
    this.#send({
      type: 'hello',
      agentId,
      ...(conversationId === undefined ? {} : { conversationId }),
      ...(Object.keys(options).length > 0 ? { options } : {})
    })
  }

  /** Notes what a first message binds beyond the stream's options, which are in every message and need no binding. */
  #noteBinding(first: Frame): void {
    if (first.type !== 'message' || first.options === undefined) return
    const isExtra = Object.keys(first.options).some((key) => !(key in this.#self.options))
    if (isExtra) this.#toUnbind = first.conversationId
  }

  /**
   * Takes that back before the next message: to the server a first message is a hello too, but to our caller an option of one
   * message is that message's alone.
   */
  #unbind(next: Frame): void {
    const conversationId = this.#toUnbind
    if ((next.type !== 'message' && next.type !== 'regenerate') || conversationId === undefined) return
    this.#toUnbind = undefined
    if (!this.#self.isOlderServer()) this.#hello(conversationId)
  }

  /** Reads on where reading stopped; owns the running turn only when it was ours, for `stop` would stop it. */
  #resume(conversationId: string): void {
    const { cursors, ledger } = this.#self
    const turns = ledger.of(conversationId)
    const after = cursors.after(conversationId)
    if (after === undefined) return
    cursors.rereading(
      conversationId,
      turns.every((turn) => turn.acknowledged || turn.isHeld)
    )
    const isOurs = turns.some((turn) => turn.acknowledged)
    this.#send({ type: 'resume', conversationId, after, ...(isOurs ? { own: true } : {}) })
  }

  #send(frame: Frame): boolean {
    const { link, apiKey } = this.#self
    if (!link.isUp) return false
    const isFirst = !this.#hasSpoken
    this.#hasSpoken = true
    if (!isFirst) this.#unbind(frame)
    const isSent = link.send(JSON.stringify(isFirst && apiKey !== undefined ? { ...frame, apiKey } : frame))
    if (isFirst && isSent) this.#noteBinding(frame)
    return isSent
  }
}
