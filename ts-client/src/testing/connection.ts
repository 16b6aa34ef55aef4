// The server's side of one socket: commands in, events of the conversations that it reads out. Turns outlive
// it.
import type * as wire from '../generated/protocol.js'
import type { ChatOptions } from '../frames.js'
import {
  readFrame,
  subjectOf,
  type ClientFrame,
  type ParsedMessage,
  type ParsedRegenerate
} from './client-frames.js'
import { ProtocolError } from './protocol-error.js'
import type { Conversation, Conversations, Reader } from './log.js'
import { unknownTurn, type TurnHandle, type Turns } from './turns.js'
import type { PeerSocket } from './ws-package.js'

/** The limits in `ready`; those of frames, messages, options and waiting turns are enforced. */
export const LIMITS: wire.Limits = {
  frameBytes: 1 << 20,
  messageBytes: 256 << 10,
  bodyBytes: 1 << 20,
  conversationsPerSocket: 64,
  waitingTurns: 8,
  outboundFrames: 256,
  outboundBytes: 1 << 20,
  helloTimeoutMs: 10_000,
  writeStallMs: 30_000,
  stopStrings: 16,
  stopStringBytes: 256,
  maxNewTokens: 8_192
}

/** Bytes of a close reason, less what half a character at the end may become. */
const REASON_BYTES = 120

/** The parts of the harness that a socket uses. */
export interface ServerConnectionOptions {
  readonly socket: PeerSocket
  /** Breaks the connection once everything that was sent has left. */
  readonly sever: () => void
  readonly conversations: Conversations
  readonly turns: Turns
  readonly hasAgent: (id: string) => boolean
  readonly model: string
  readonly bootId: string
  /** Which socket cancels which turn: one socket a turn, shared by all sockets. */
  readonly owners: Map<string, ServerConnection>
}

/** Defaults for later messages. */
interface Binding {
  agentId: string | undefined
  conversationId: string | undefined
  readonly options: ChatOptions
}

/** A socket that is open or closed. */
export class ServerConnection {
  readonly #options: ServerConnectionOptions
  readonly #readers = new Map<string, Reader>()
  #binding: Binding = { agentId: undefined, conversationId: undefined, options: {} }
  /** Whether a first frame was accepted. */
  #hasHello = false
  #isClosed = false

  constructor(options: ServerConnectionOptions) {
    this.#options = options
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Handles one text frame. */
  receive(text: string): void {
    if (this.#isClosed) return
    try {
      this.#handle(readFrame(text))
      this.#hasHello = true
    } catch (thrown) {
      const error = ProtocolError.of(thrown)
      this.#send({ ...error.event, ...subjectOf(text) })
      if (!this.#hasHello) this.close(error.closeCode, error.message)
    }
  }

  /** Handles a close by the client, or a lost connection: a normal close cancels the turns that it owns. */
  onClosed(code: number): void {
    const owned = this.#owned()
    this.#end()
    if (code === 1000 || code === 1005) this.#cancel(owned)
  }

  /** Closes it. */
  close(code: number, reason: string): void {
    if (this.#isClosed) return
    this.#end()
    this.#options.socket.close(code, Buffer.from(reason).subarray(0, REASON_BYTES).toString())
  }

  /** Returns whether it reads a conversation. */
  reads(conversationId: string): boolean {
    return this.#readers.has(conversationId)
  }

  /** Breaks the connection, as a network does. */
  cut(): void {
    if (this.#isClosed) return
    this.#end()
    this.#options.sever()
  }

  /** Sends the error `gone` if it reads a conversation that was deleted. */
  onDeleted(conversationId: string): void {
    if (!this.#leave(conversationId)) return
    const message = `conversation ${JSON.stringify(conversationId)} was deleted`
    this.#send({ ...new ProtocolError('gone', message).event, conversationId })
  }

  #handle(frame: ClientFrame): void {
    const { turns } = this.#options
    switch (frame.type) {
      case 'hello':
        return this.#hello(frame)
      case 'message':
        return this.#message(frame)
      case 'regenerate':
        return this.#regenerate(frame)
      case 'cancel':
        return this.#onCancel(frame)
      case 'resume':
        return this.#resume(frame)
      case 'leave':
        this.#leave(frame.conversationId)
        return undefined
      case 'tool-output': {
        const { turnId, callId, output } = frame
        turns.answerTool(this.#conversationOf(frame.conversationId, turnId), turnId, callId, output)
        return undefined
      }
      case 'ping':
        return this.#send({ type: 'pong', ...(frame.id === undefined ? {} : { id: frame.id }) })
    }
  }

  #hello({ agentId, conversationId, options }: Readonly<Binding>): void {
    if (agentId !== undefined && !this.#options.hasAgent(agentId)) {
      throw new ProtocolError('agent_not_found', 'Agent not found')
    }
    const known = conversationId === undefined ? undefined : this.#options.conversations.find(conversationId)
    this.#binding = { agentId, conversationId, options }
    this.#ready(known?.lastSeq ?? 0)
  }

  #message(frame: ParsedMessage): void {
    const isFirst = !this.#hasHello
    const { agentId, conversationId, options } = isFirst ? frame : this.#binding
    const binding: Binding = { agentId, conversationId, options }
    const named = frame.agentId ?? binding.agentId
    if (named === undefined) throw new ProtocolError('invalid_request', 'key "agentId" is missing')
    const turn = this.#options.turns.begin({
      ...frame,
      agentId: named,
      conversationId: frame.conversationId ?? binding.conversationId,
      helloOptions: binding.options
    })
    this.#binding = binding
    if (frame.conversationId === undefined) binding.conversationId = turn.conversation.id
    this.#options.owners.set(keyOf(turn.conversation.id, turn.turnId), this)
    if (isFirst) this.#ready(turn.firstSeq - 1)
    this.#follow(turn)
  }

  #regenerate(frame: ParsedRegenerate): void {
    const { conversationId = this.#binding.conversationId, ...again } = frame
    if (conversationId === undefined) {
      throw new ProtocolError(
        'conversation_not_found',
        `turn ${JSON.stringify(frame.turnId)} not found: name its conversation`
      )
    }
    const turn = this.#options.turns.regenerate({
      ...again,
      conversationId,
      helloOptions: this.#binding.options
    })
    this.#options.owners.set(keyOf(conversationId, turn.turnId), this)
    this.#follow(turn)
  }

  /**
   * Reads the turn's conversation, unless it is read already; a turn that was joined is read from its start
   * again.
   */
  #follow({ conversation, firstSeq, isJoined }: TurnHandle): void {
    const reader = this.#readers.get(conversation.id)
    if (reader === undefined || (isJoined && reader.position >= firstSeq)) {
      this.#read(conversation, firstSeq - 1)
    }
  }

  #resume({ conversationId, after, own }: ClientFrame & { readonly type: 'resume' }): void {
    const conversation = this.#options.conversations.existing(conversationId)
    for (const turnId of own ? this.#options.turns.running(conversation) : []) {
      this.#options.owners.set(keyOf(conversationId, turnId), this)
    }
    const { lastSeq } = conversation
    if (after !== undefined && after > lastSeq) this.#send({ type: 'reset', lastSeq, conversationId })
    this.#read(conversation, Math.min(after ?? lastSeq, lastSeq))
  }

  #read(conversation: Conversation, after: number): void {
    this.#leave(conversation.id)
    const limit = LIMITS.conversationsPerSocket
    if (this.#readers.size >= limit) {
      throw new ProtocolError(
        'busy',
        `this socket reads ${limit} conversations, which is the limit: leave one`
      )
    }
    const { owners } = this.#options
    const reader = conversation.read(after, (event) => {
      const hasEnded = event.type === 'done' || event.type === 'error'
      if (hasEnded) owners.delete(keyOf(conversation.id, String(event['turnId'])))
      this.#send(event)
    })
    this.#readers.set(conversation.id, reader)
  }

  #leave(conversationId: string): boolean {
    this.#readers.get(conversationId)?.stop()
    return this.#readers.delete(conversationId)
  }

  #onCancel({ turnId, conversationId }: Pick<ParsedMessage, 'turnId' | 'conversationId'>): void {
    const owned = this.#owned()
    if (turnId === undefined) {
      this.#cancel(owned)
      return
    }
    const named = this.#conversationOf(conversationId, turnId)
    if (this.#options.conversations.find(named) === undefined) throw unknownTurn(named, turnId)
    this.#options.turns.cancel(named, turnId)
  }

  /**
   * Returns the conversation of a turn: the one that is named, else that of an owned turn, else the current
   * one.
   */
  #conversationOf(named: string | undefined, turnId: string): string {
    const mine = this.#owned().find((turn) => turn.turnId === turnId)?.conversationId
    const found = named ?? mine ?? this.#binding.conversationId
    if (found !== undefined) return found
    const message = `turn ${JSON.stringify(turnId)} not found: name its conversation`
    throw new ProtocolError('conversation_not_found', message)
  }

  #cancel(turns: readonly OwnedTurn[]): void {
    for (const { conversationId, turnId } of turns) {
      try {
        this.#options.turns.cancel(conversationId, turnId)
      } catch {
        // A turn whose conversation was deleted has been cancelled.
      }
    }
  }

  #owned(): readonly OwnedTurn[] {
    return [...this.#options.owners]
      .filter(([, owner]) => owner === this)
      .map(([key]) => JSON.parse(key) as readonly [string, string])
      .map(([conversationId, turnId]) => ({ conversationId, turnId }))
  }

  #end(): void {
    this.#isClosed = true
    for (const conversationId of [...this.#readers.keys()]) this.#leave(conversationId)
    for (const { conversationId, turnId } of this.#owned()) {
      this.#options.owners.delete(keyOf(conversationId, turnId))
    }
  }

  #ready(lastSeq: number): void {
    const { agentId, conversationId } = this.#binding
    const { model, bootId } = this.#options
    this.#send({
      type: 'ready',
      protocol: 1,
      agentId: agentId ?? null,
      model,
      limits: LIMITS,
      lastSeq,
      bootId,
      ...(conversationId === undefined ? {} : { conversationId })
    })
  }

  #send(event: object): void {
    if (!this.#isClosed) this.#options.socket.send(JSON.stringify(event))
  }
}

interface OwnedTurn {
  readonly conversationId: string
  readonly turnId: string
}

function keyOf(conversationId: string, turnId: string): string {
  return JSON.stringify([conversationId, turnId])
}
