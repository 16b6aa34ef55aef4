// One stream: joins the turns with the socket, and holds the rules between them.
import { reconnectPolicy } from './backoff.js'
import { callSafely } from './callbacks.js'
import { READER_GONE, type CloseInfo } from './connection.js'
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
import { FrameSender } from './frame-sender.js'
import { newId } from './ids.js'
import { PendingTurns } from './pending-turns.js'
import { ReconnectingSocket } from './reconnecting-socket.js'
import { platformSocket } from './socket.js'
import type { StreamChatOptions } from './stream-options.js'
import { ToolCalls, type ToolAnswer } from './tool-calls.js'
import { Turn, type OutgoingMessage, type Regeneration, type TurnRequest, type TurnResult } from './turn.js'
import { socketUrl } from './url.js'

/** Turns in flight on one stream; the server takes 8 of one conversation. */
const MAX_TURNS = 512

/** The close code for a stream that the application stopped. */
const NORMAL_CLOSE = 1000

/** The close code of a server that received no first frame in time. */
const HELLO_TIMEOUT = 4408

/** A stream of chat, over any number of connections. */
export class Session {
  readonly #options: StreamChatOptions
  /** The options of every answer. */
  readonly #chatOptions: ChatOptions
  readonly #socket: ReconnectingSocket
  readonly #sender: FrameSender
  readonly #pending = new PendingTurns()
  readonly #cursors = new Cursors()
  readonly #tools = new ToolCalls((frame) => this.#sender.sendToolOutput(frame))
  #conversationId: string
  /** Whether the server numbers its events and names their turns, so that a turn can be resumed. */
  #isNumbered = false
  /** Whether the server has sent anything but an error on this connection. */
  #isAccepted = false
  /** Whether it has named on this connection the message that it refuses. */
  #hasNamedRefusal = false

  /**
   * Prepares a stream without opening it.
   *
   * @throws TypeError if the `backendUrl` is invalid, RangeError if one of the options of answers is.
   */
  constructor(options: StreamChatOptions) {
    const url = socketUrl(options.backendUrl)
    // A copy: what the application changes later has no effect.
    this.#options = { ...options }
    this.#chatOptions = mergeOptions(options.options)
    // The client names the conversation, so that a first message that is sent again finds its own turn.
    this.#conversationId = options.conversationId ?? newId()
    // What was read before this stream was opened is not requested again.
    if (options.after !== undefined) this.#cursors.advance(this.#conversationId, options.after)
    this.#socket = new ReconnectingSocket({
      url,
      factory: options.socketFactory ?? platformSocket,
      policy: reconnectPolicy(options.reconnect),
      onState: (state) => this.#call(this.#options.onConnection, state),
      onOpen: () => this.#startConnection(),
      onData: (data) => this.#receive(data),
      expectsData: () => this.#isNumbered && this.#pending.size > 0,
      ping: () => this.#sender.ping(),
      onClose: (closed) => this.#onClose(closed),
      onGiveUp: (closed) => this.#onGiveUp(closed)
    })
    this.#sender = new FrameSender({
      socket: this.#socket,
      pending: this.#pending,
      cursors: this.#cursors,
      agentId: options.agentId,
      chatOptions: this.#chatOptions,
      isEager: options.handshake === 'eager',
      apiKey: options.apiKey,
      isOlderServer: () => this.#isAccepted && !this.#isNumbered
    })
  }

  get conversationId(): string {
    return this.#conversationId
  }

  open(): Promise<void> {
    return this.#socket.open()
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
    if (this.#socket.state === 'closed') throw new Error(`Cannot ${what}: socket already closed`)
  }

  #begin(outgoing: TurnRequest, frameOf: (parts: TurnParts) => TurnFrame): Promise<TurnResult> {
    const { conversationId = this.#conversationId, tools, onTool = this.#options.onTool, signal } = outgoing
    let options: ChatOptions
    try {
      options = mergeOptions(this.#chatOptions, outgoing.options)
    } catch (cause) {
      return rejected(new ChatError('invalid_request', (cause as RangeError).message, false, { cause }))
    }
    if (this.#pending.size >= MAX_TURNS) {
      return rejected(new ChatError('busy', `${MAX_TURNS} turns wait for their answer already`, true))
    }
    const turn = new Turn(frameOf({ turnId: newId(), conversationId, options, tools }), onTool)
    if (signal?.aborted === true) {
      turn.finish('cancelled')
      return turn.result
    }
    if (signal !== undefined) turn.abortOn(signal, () => this.cancel(turn.turnId))
    this.#conversationId = conversationId
    this.#pending.add(turn)
    this.#tools.track(turn.turnId)
    this.#sender.leaveIdle(this.#conversationId)
    this.#sender.sendTurn(turn)
    this.#socket.wake()
    return turn.result
  }

  sendToolOutput({ turnId, callId, output, conversationId }: ToolAnswer): void {
    this.#checkOpen('send tool output')
    const conversation = conversationId ?? this.#pending.get(turnId)?.conversationId ?? this.#conversationId
    this.#tools.answer({ type: 'tool-output', turnId, callId, output, conversationId: conversation })
    this.#socket.wake()
  }

  cancel(turnId?: string): void {
    const turns =
      turnId === undefined
        ? this.#pending.all()
        : this.#pending.all().filter((turn) => turn.turnId === turnId)
    for (const turn of turns) {
      turn.cancelRequested = true
      this.#tools.untrack(turn.turnId)
      // A turn that was never sent is cancelled without the server.
      if (!turn.sent) this.#end(turn, () => turn.finish('cancelled'))
    }
    this.#sender.cancel(turnId)
  }

  stop(): void {
    this.#socket.close(NORMAL_CLOSE, '')
    for (const turn of this.#pending.all()) this.#end(turn, () => turn.finish('cancelled'))
  }

  detach(): void {
    this.#socket.close(READER_GONE, 'detached')
    const error = new ChatError('interrupted', 'Detached: the turn goes on without this reader', true)
    for (const turn of this.#pending.all()) this.#end(turn, () => turn.fail(error))
  }

  #startConnection(): void {
    this.#isAccepted = false
    this.#hasNamedRefusal = false
    this.#sender.startConnection(this.#conversationId)
    this.#tools.resend()
  }

  #receive(data: unknown): void {
    const decoded = decode(data)
    const origin = decoded.kind === 'event' ? decoded.event : decoded.origin
    const firstSeq = decoded.kind === 'event' ? decoded.firstSeq : origin.seq
    if (decoded.kind === 'event' && decoded.event.type !== 'error') this.#accept()
    if (!this.#isNext(origin, firstSeq)) return
    if (decoded.kind === 'event') this.#deliver(decoded.event)
    else this.#call(this.#options.onUnknownEvent, decoded.value)
  }

  #accept(): void {
    this.#isAccepted = true
    this.#socket.resetAttempts()
  }

  /**
   * Returns whether a logged event is the next one. Duplicates are dropped; after a gap, the log is read
   * again.
   */
  #isNext({ conversationId, turnId, seq }: EventOrigin, first: number | undefined): boolean {
    if (conversationId === undefined || first === undefined || seq === undefined) return true
    this.#isNumbered = true
    const arrival = this.#cursors.classify(conversationId, first, seq)
    if (arrival === 'duplicate') return false
    if (arrival === 'gap') {
      const turn = turnId === undefined ? undefined : this.#pending.get(turnId)
      if (turn !== undefined) turn.acknowledged = true
      if (this.#socket.renew(READER_GONE, 'gap')) return false
    }
    this.#cursors.advance(conversationId, seq)
    return true
  }

  #deliver(event: ChatEvent): void {
    if (event.type === 'ready') this.#onReady(event)
    if (event.type === 'reset') this.#onReset(event)
    const turn = this.#ownerOf(event)
    if (turn === undefined) {
      this.#call(this.#options.onEvent, event)
      return
    }
    if (this.#isFrameRefusal(event, turn)) {
      if (!this.#tools.hidesRefusal(turn.turnId)) this.#call(this.#options.onEvent, event)
      return
    }
    if (event.type === 'error') this.#hasNamedRefusal = true
    const isCurrent = turn.conversationId === this.#conversationId
    const wasHeld = turn.isHeld
    const isOver = turn.apply(event)
    if (wasHeld && turn.cancelRequested && !isOver) this.#sender.cancel(turn.turnId)
    if (isCurrent) this.#conversationId = turn.conversationId
    if (isOver) this.#remove(turn)
    const { conversationId, turnId, onTool } = turn
    if (event.type === 'tool-output') this.#tools.confirm(turnId, event.callId)
    this.#call(this.#options.onEvent, { ...event, conversationId, turnId })
    if (event.type === 'tool' && onTool !== undefined) {
      const { callId, name, payload } = event
      this.#tools.ask({ conversationId, turnId, callId, name, payload }, onTool)
    }
    if (!isOver) return
    this.#sender.sendNextHeld(conversationId)
    this.#sender.leaveIdle(this.#conversationId)
  }

  #onReady(ready: EventOf<'ready'>): void {
    this.#isNumbered = true
    this.#tools.limit(ready)
  }

  /**
   * Returns whether an error that isn't logged refuses a frame other than the message: then the turn goes on.
   */
  #isFrameRefusal(event: ChatEvent, turn: Turn): boolean {
    const isRefusal = event.type === 'error' && event.seq === undefined && event.turnId !== undefined
    return isRefusal && this.#isNumbered && turn.acknowledged
  }

  /**
   * Returns the turn that an event belongs to.
   *
   * An error without a turn, from a server that names turns, is about a conversation that can't be read, or
   * about a frame that it couldn't parse, which can only be a message. If a new connection may cure it, one
   * is opened; else every turn of that conversation ends.
   */
  #ownerOf(event: ChatEvent): Turn | undefined {
    if (event.type !== 'error' || !this.#isNumbered || event.turnId !== undefined)
      return this.#pending.owner(event)
    if (event.conversationId === undefined) {
      const isUnreadable = event.code === 'invalid_request' || event.code === 'too_large'
      return isUnreadable ? this.#pending.oldestUnanswered() : undefined
    }
    const [first, ...others] = this.#pending.of(event.conversationId)
    if (event.code === 'conversation_not_found' && first?.acknowledged !== true) {
      // There was nothing to read yet: a message creates the conversation, and its log starts from 1.
      this.#cursors.forget(event.conversationId)
      return undefined
    }
    if (first !== undefined && event.retryable && this.#socket.renew(READER_GONE, 'log unreadable'))
      return undefined
    for (const turn of others) this.#failTurn(turn, event.code, event.message)
    return first
  }

  /** Handles a log that has lost events that were read: turns in the lost part can't be resumed. */
  #onReset({ conversationId, lastSeq }: EventOf<'reset'>): void {
    if (conversationId === undefined) return
    this.#cursors.advance(conversationId, lastSeq)
    for (const turn of this.#pending.all()) {
      if (turn.conversationId !== conversationId || turn.lastSeq <= lastSeq) continue
      this.#failTurn(turn, 'interrupted', 'The server has lost this turn')
    }
  }

  /** Ends the turns that can't go on after a lost connection; returns whether to reconnect. */
  #onClose(closed: CloseInfo): 'reconnect' | 'rest' {
    const refused = refusal(closed.code)
    for (const turn of this.#pending.all()) {
      // The refused turn has ended already if the server has named it; else it is one without an event yet.
      if (refused !== undefined && !this.#hasNamedRefusal && (!turn.acknowledged || !this.#isAccepted)) {
        this.#failTurn(turn, refused, closed.reason || `The server closed the connection (${closed.code})`)
      } else if (turn.acknowledged && !this.#isNumbered) {
        this.#failTurn(turn, 'interrupted', 'The connection was lost, and this server can not resume')
      }
    }
    if (this.#pending.size > 0) return 'reconnect'
    const isOver = refused !== undefined || [1000, 1005, HELLO_TIMEOUT].includes(closed.code)
    return isOver ? 'rest' : 'reconnect'
  }

  #onGiveUp(closed: CloseInfo): void {
    const code = refusal(closed.code) ?? 'interrupted'
    for (const turn of this.#pending.all())
      this.#failTurn(turn, code, closed.reason || 'The connection was lost')
  }

  /** Ends a turn with an error that the server can't report any more. */
  #failTurn(turn: Turn, code: ErrorCode, message: string): void {
    const retryable = isRetryable(code)
    const { conversationId, turnId } = turn
    this.#end(turn, () => turn.fail(new ChatError(code, message, retryable)))
    this.#call(this.#options.onEvent, { type: 'error', code, message, retryable, conversationId, turnId })
  }

  #end(turn: Turn, settle: () => void): void {
    this.#remove(turn)
    settle()
    this.#sender.sendNextHeld(turn.conversationId)
  }

  #remove(turn: Turn): void {
    this.#pending.remove(turn)
    this.#tools.untrack(turn.turnId)
  }

  #call<T>(callback: ((value: T) => void) | undefined, value: T): void {
    if (callback !== undefined) callSafely(() => callback(value), this.#options.onCallbackError)
  }
}

/** Returns a rejection that never counts as unhandled. */
function rejected(error: ChatError): Promise<never> {
  const result = Promise.reject(error)
  result.catch(() => undefined)
  return result
}
