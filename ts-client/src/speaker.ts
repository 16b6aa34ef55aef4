// What a stream says to the server, and what it has to say first on each new connection.
import type { Cursors } from './cursors.js'
import type { ChatOptions, Frame } from './frames.js'
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
}

/** The sending half of a stream. Without a connection it says nothing; the next greeting makes up for it. */
export class Speaker {
  readonly #self: SpeakerOptions
  /** Whether this connection has sent its first frame, which carries the key. */
  #hasSpoken = false
  #isFirstConnection = true

  constructor(self: SpeakerOptions) {
    this.#self = self
  }

  /** Says what a new connection has to hear: who we are, where we stopped, and what may not have arrived. */
  greet(currentConversation: string): void {
    const { ledger, isEager } = this.#self
    const isReturn = !this.#isFirstConnection
    this.#isFirstConnection = false
    this.#hasSpoken = false
    if (isEager) this.#hello(currentConversation)
    if (!isReturn) return
    const turns = ledger.all()
    const running = new Set(turns.flatMap((turn) => (turn.acknowledged ? [turn.conversationId] : [])))
    for (const conversationId of new Set([...running, currentConversation])) {
      this.#resume(conversationId, running.has(conversationId))
    }
    for (const turn of turns) {
      if (!turn.acknowledged) this.post(turn)
      if (turn.cancelRequested) this.cancel(turn.turnId)
    }
  }

  /** Sends a turn's message. */
  post(turn: Turn): void {
    if (this.#send(turn.frame)) turn.sent = true
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

  /** Stops reading conversations in which nothing of ours runs, for a socket may read only so many. */
  leaveIdle(currentConversation: string): void {
    const { cursors, ledger } = this.#self
    for (const conversationId of cursors.conversations()) {
      if (conversationId === currentConversation || ledger.of(conversationId).length > 0) continue
      cursors.forget(conversationId)
      this.#send({ type: 'leave', conversationId })
    }
  }

  #hello(conversationId: string): void {
    const { agentId, options } = this.#self
    const hasOptions = Object.keys(options).length > 0
    this.#send({ type: 'hello', agentId, conversationId, ...(hasOptions ? { options } : {}) })
  }

  /** Reads on where reading stopped; owns the running turn only when it was ours, for `stop` would stop it. */
  #resume(conversationId: string, isOurs: boolean): void {
    const after = this.#self.cursors.after(conversationId)
    if (after === undefined) return
    this.#self.cursors.rereading(conversationId)
    this.#send({ type: 'resume', conversationId, after, ...(isOurs ? { own: true } : {}) })
  }

  #send(frame: Frame): boolean {
    const { link, apiKey } = this.#self
    if (!link.isUp) return false
    const isFirst = !this.#hasSpoken
    this.#hasSpoken = true
    return link.send(JSON.stringify(isFirst && apiKey !== undefined ? { ...frame, apiKey } : frame))
  }
}
