// One stream: turns on one side, the link on the other, and the rules that join them.
import { callSafely } from './callbacks.js'
import { READER_GONE, type Closed } from './connection.js'
import { Cursors } from './cursors.js'
import { decode } from './decode.js'
import { isRetryable, refusal } from './error-codes.js'
import { ChatError } from './errors.js'
import type { ChatEvent, ErrorCode, EventOf, EventOrigin } from './events.js'
import {
  mergeOptions,
  messageFrame,
  regenerateFrame,
  type ChatOptions,
  type TurnFrame,
  type TurnParts
} from './frames.js'
import { Heartbeat } from './heartbeat.js'
import { newId } from './ids.js'
import { Ledger } from './ledger.js'
import { Link, type ConnectionState } from './link.js'
import type { ReconnectPolicy } from './backoff.js'
import type { SocketFactory } from './socket.js'
import { Speaker } from './speaker.js'
import { ToolCalls, type ToolAnswer, type ToolHandler } from './tool-calls.js'
import { Turn, type OutgoingMessage, type Regeneration, type TurnRequest, type TurnResult } from './turn.js'

/** Turns in flight on one stream; the server takes 8 of one conversation. */
const MAX_TURNS = 512

/** The client stopped. */
const NORMAL_CLOSE = 1000

/** The server waited in vain for the first frame. */
const HELLO_TIMEOUT = 4408

/** What a session needs, every default decided. */
export interface SessionOptions {
  readonly url: string
  readonly factory: SocketFactory
  readonly policy: ReconnectPolicy
  readonly agentId: string
  readonly conversationId: string | undefined
  readonly options: ChatOptions
  readonly isEager: boolean
  readonly apiKey: string | undefined
  readonly after: number | undefined
  readonly onTool: ToolHandler | undefined
  readonly onEvent: ((event: ChatEvent) => void) | undefined
  readonly onUnknownEvent: ((frame: unknown) => void) | undefined
  readonly onCallbackError: ((error: unknown) => void) | undefined
  readonly onConnection: ((state: ConnectionState) => void) | undefined
}

/** A stream of chat, over as many connections as it takes. */
export class Session {
  readonly #options: SessionOptions
  readonly #link: Link
  readonly #speaker: Speaker
  readonly #heartbeat: Heartbeat
  readonly #ledger = new Ledger()
  readonly #cursors = new Cursors()
  readonly #tools = new ToolCalls((frame) => this.#speaker.answer(frame))
  #conversationId: string
  /** Whether the server numbers its events and names their turns, so that a turn can be resumed. */
  #isNumbered = false
  /** Whether the server has said anything but an error on this connection. */
  #isAccepted = false
  /** Whether it has said on this connection which of our messages it refuses. */
  #isExplained = false

  constructor(options: SessionOptions) {
    this.#options = options
    // The client names the conversation, so that a first message that is sent again finds its own turn.
    this.#conversationId = options.conversationId ?? newId()
    // What was read before this stream was opened is not asked for again.
    if (options.after !== undefined) this.#cursors.advance(this.#conversationId, options.after)
    this.#link = new Link({
      url: options.url,
      factory: options.factory,
      policy: options.policy,
      onState: (state) => this.#enter(state),
      onUp: () => this.#greet(),
      onData: (data) => this.#receive(data),
      onDown: (closed) => this.#lose(closed),
      onGiveUp: (closed) => this.#giveUp(closed)
    })
    this.#speaker = new Speaker({
      ...options,
      link: this.#link,
      ledger: this.#ledger,
      cursors: this.#cursors,
      isOlderServer: () => this.#isAccepted && !this.#isNumbered
    })
    this.#heartbeat = new Heartbeat({
      schedule: options.policy.schedule,
      isNeeded: () => this.#isNumbered && this.#ledger.size > 0,
      ping: () => this.#speaker.ping(),
      onSilence: () => this.#link.renew(READER_GONE, 'silence')
    })
  }

  get conversationId(): string {
    return this.#conversationId
  }

  open(): Promise<void> {
    return this.#link.open()
  }

  sendMessage(outgoing: OutgoingMessage): Promise<TurnResult> {
    this.#checkOpen('send message')
    const { message, agentId = this.#options.agentId, parentTurnId, editTurnId } = outgoing
    return this.#begin(outgoing, (parts) =>
      messageFrame({ ...parts, message, agentId, parentTurnId, editTurnId })
    )
  }

  regenerate(again: Regeneration): Promise<TurnResult> {
    this.#checkOpen('regenerate')
    return this.#begin(again, (parts) => regenerateFrame(parts, again.turnId))
  }

  #checkOpen(what: string): void {
    if (this.#link.state === 'closed') throw new Error(`Cannot ${what}: socket already closed`)
  }

  #begin(outgoing: TurnRequest, frameOf: (parts: TurnParts) => TurnFrame): Promise<TurnResult> {
    const { conversationId = this.#conversationId, tools, onTool = this.#options.onTool, signal } = outgoing
    let options: ChatOptions
    try {
      options = mergeOptions(this.#options.options, outgoing.options)
    } catch (cause) {
      return rejected(new ChatError('invalid_request', (cause as RangeError).message, false, { cause }))
    }
    if (this.#ledger.size >= MAX_TURNS) {
      return rejected(new ChatError('busy', `${MAX_TURNS} turns wait for their answer already`, true))
    }
    const turn = new Turn(frameOf({ turnId: newId(), conversationId, options, tools }), onTool)
    if (signal?.aborted === true) {
      turn.finish('cancelled')
      return turn.result
    }
    if (signal !== undefined) turn.watch(signal, () => this.cancel(turn.turnId))
    this.#conversationId = conversationId
    this.#ledger.add(turn)
    this.#tools.follow(turn.turnId)
    this.#speaker.leaveIdle(this.#conversationId)
    this.#speaker.post(turn)
    this.#link.wake()
    return turn.result
  }

  sendToolOutput({ turnId, callId, output, conversationId }: ToolAnswer): void {
    this.#checkOpen('send tool output')
    const named = conversationId ?? this.#ledger.get(turnId)?.conversationId ?? this.#conversationId
    this.#tools.answer({ type: 'tool-output', turnId, callId, output, conversationId: named })
    this.#link.wake()
  }

  cancel(turnId?: string): void {
    const turns =
      turnId === undefined ? this.#ledger.all() : this.#ledger.all().filter((turn) => turn.turnId === turnId)
    for (const turn of turns) {
      turn.cancelRequested = true
      this.#tools.forget(turn.turnId)
      // What never left needs no server to be cancelled.
      if (!turn.sent) this.#end(turn, () => turn.finish('cancelled'))
    }
    this.#speaker.cancel(turnId)
  }

  stop(): void {
    this.#link.close(NORMAL_CLOSE, '')
    for (const turn of this.#ledger.all()) this.#end(turn, () => turn.finish('cancelled'))
  }

  detach(): void {
    this.#link.close(READER_GONE, 'detached')
    const error = new ChatError('interrupted', 'Detached: the turn goes on without this reader', true)
    for (const turn of this.#ledger.all()) this.#end(turn, () => turn.fail(error))
  }

  #enter(state: ConnectionState): void {
    if (state === 'open') this.#heartbeat.start()
    else this.#heartbeat.stop()
    this.#call(this.#options.onConnection, state)
  }

  #greet(): void {
    this.#isAccepted = false
    this.#isExplained = false
    this.#speaker.greet(this.#conversationId)
    this.#tools.repeat()
  }

  #receive(data: unknown): void {
    this.#heartbeat.heard()
    const decoded = decode(data)
    const origin = decoded.kind === 'event' ? decoded.event : decoded.origin
    const firstSeq = decoded.kind === 'event' ? decoded.firstSeq : origin.seq
    if (decoded.kind === 'event' && decoded.event.type !== 'error') this.#accept()
    if (!this.#isDue(origin, firstSeq)) return
    if (decoded.kind === 'event') this.#deliver(decoded.event)
    else this.#call(this.#options.onUnknownEvent, decoded.value)
  }

  #accept(): void {
    this.#isAccepted = true
    this.#link.forgive()
  }

  /** Whether a logged event is the next one. What was seen is dropped; beyond a gap, the log is read again. */
  #isDue({ conversationId, turnId, seq }: EventOrigin, first: number | undefined): boolean {
    if (conversationId === undefined || first === undefined || seq === undefined) return true
    this.#isNumbered = true
    const place = this.#cursors.place(conversationId, first, seq)
    if (place === 'seen') return false
    if (place === 'beyond') {
      const turn = turnId === undefined ? undefined : this.#ledger.get(turnId)
      if (turn !== undefined) turn.acknowledged = true
      if (this.#link.renew(READER_GONE, 'gap')) return false
    }
    this.#cursors.advance(conversationId, seq)
    return true
  }

  #deliver(event: ChatEvent): void {
    if (event.type === 'ready') this.#prepare(event)
    if (event.type === 'reset') this.#reset(event)
    const turn = this.#ownerOf(event)
    if (turn === undefined) {
      this.#call(this.#options.onEvent, event)
      return
    }
    if (this.#refusesFrame(event, turn)) {
      if (!this.#tools.excuses(turn.turnId)) this.#call(this.#options.onEvent, event)
      return
    }
    if (event.type === 'error') this.#isExplained = true
    const isCurrent = turn.conversationId === this.#conversationId
    const wasHeld = turn.isHeld
    const isOver = turn.take(event)
    if (wasHeld && turn.cancelRequested && !isOver) this.#speaker.cancel(turn.turnId)
    if (isCurrent) this.#conversationId = turn.conversationId
    if (isOver) this.#forget(turn)
    const { conversationId, turnId, onTool } = turn
    if (event.type === 'tool-output') this.#tools.confirm(turnId, event.callId)
    this.#call(this.#options.onEvent, { ...event, conversationId, turnId })
    if (event.type === 'tool' && onTool !== undefined) {
      const { callId, name, payload } = event
      this.#tools.ask({ conversationId, turnId, callId, name, payload }, onTool)
    }
    if (!isOver) return
    this.#speaker.release(conversationId)
    this.#speaker.leaveIdle(this.#conversationId)
  }

  #prepare(ready: EventOf<'ready'>): void {
    this.#isNumbered = true
    this.#tools.limit(ready)
  }

  /** Whether an error, which no log holds, is about a frame that followed the message: the turn itself goes on. */
  #refusesFrame(event: ChatEvent, turn: Turn): boolean {
    const isRefusal = event.type === 'error' && event.seq === undefined && event.turnId !== undefined
    return isRefusal && this.#isNumbered && turn.acknowledged
  }

  /**
   * Whose event it is.
   *
   * A server that names turns means none when it names none: then the error is about a conversation that can't
   * be read, or about a frame that it couldn't read, which can only be a message. What a new connection may cure
   * gets one; else every turn of that conversation is over.
   */
  #ownerOf(event: ChatEvent): Turn | undefined {
    if (event.type !== 'error' || !this.#isNumbered || event.turnId !== undefined)
      return this.#ledger.owner(event)
    if (event.conversationId === undefined) {
      const isUnreadable = event.code === 'invalid_request' || event.code === 'too_large'
      return isUnreadable ? this.#ledger.oldestUnanswered() : undefined
    }
    const [first, ...others] = this.#ledger.of(event.conversationId)
    if (event.code === 'conversation_not_found' && first?.acknowledged !== true) {
      // There was nothing to read yet: a message makes the conversation, and its log begins anew.
      this.#cursors.forget(event.conversationId)
      return undefined
    }
    if (first !== undefined && event.retryable && this.#link.renew(READER_GONE, 'log unreadable'))
      return undefined
    for (const turn of others) this.#break(turn, event.code, event.message)
    return first
  }

  /** The log has lost what was read of it: turns that were in the lost part can't be taken up again. */
  #reset({ conversationId, lastSeq }: EventOf<'reset'>): void {
    if (conversationId === undefined) return
    this.#cursors.advance(conversationId, lastSeq)
    for (const turn of this.#ledger.all()) {
      if (turn.conversationId !== conversationId || turn.lastSeq <= lastSeq) continue
      this.#break(turn, 'interrupted', 'The server has lost this turn')
    }
  }

  /** Decides what becomes of the turns when the connection is lost, and whether it is worth coming back. */
  #lose(closed: Closed): 'reconnect' | 'rest' {
    const refused = refusal(closed.code)
    for (const turn of this.#ledger.all()) {
      // The refused turn has gone already if the server has named it; else it is one that was not heard of.
      if (refused !== undefined && !this.#isExplained && (!turn.acknowledged || !this.#isAccepted)) {
        this.#break(turn, refused, closed.reason || `The server closed the connection (${closed.code})`)
      } else if (turn.acknowledged && !this.#isNumbered) {
        this.#break(turn, 'interrupted', 'The connection was lost, and this server can not resume')
      }
    }
    if (this.#ledger.size > 0) return 'reconnect'
    const isOver = refused !== undefined || [1000, 1005, HELLO_TIMEOUT].includes(closed.code)
    return isOver ? 'rest' : 'reconnect'
  }

  #giveUp(closed: Closed): void {
    const code = refusal(closed.code) ?? 'interrupted'
    for (const turn of this.#ledger.all()) this.#break(turn, code, closed.reason || 'The connection was lost')
  }

  /** Ends a turn with an error that the server can't report any more. */
  #break(turn: Turn, code: ErrorCode, message: string): void {
    const retryable = isRetryable(code)
    const { conversationId, turnId } = turn
    this.#end(turn, () => turn.fail(new ChatError(code, message, retryable)))
    this.#call(this.#options.onEvent, { type: 'error', code, message, retryable, conversationId, turnId })
  }

  #end(turn: Turn, settle: () => void): void {
    this.#forget(turn)
    settle()
    this.#speaker.release(turn.conversationId)
  }

  #forget(turn: Turn): void {
    this.#ledger.remove(turn)
    this.#tools.forget(turn.turnId)
  }

  #call<T>(callback: ((value: T) => void) | undefined, value: T): void {
    if (callback !== undefined) callSafely(() => callback(value), this.#options.onCallbackError)
  }
}

/** A rejection that is never unhandled. */
function rejected(error: ChatError): Promise<never> {
  const result = Promise.reject(error)
  result.catch(() => undefined)
  return result
}
