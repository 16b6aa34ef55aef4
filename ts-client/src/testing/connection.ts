// One socket: commands in, the events of the conversations that it reads out. No turn lives on it.
import type * as wire from '../generated/protocol.js'
import type { ChatOptions } from '../frames.js'
import {
  readFrame,
  subjectOf,
  type ClientFrame,
  type MessageFrame,
  type RegenerateFrame
} from './client-frames.js'
import { Fault } from './faults.js'
import type { Conversation, Conversations, Reader } from './log.js'
import { unknownTurn, type TurnHandle, type Turns } from './turns.js'
import type { PeerSocket } from './ws-package.js'

/** The limits that `ready` says; those of frames, messages, options and waiting turns are kept. */
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

/** What a close frame has room for, less what half a character at the end may become. */
const REASON_BYTES = 120

/** What a socket needs of the harness. */
export interface ConnectionOptions {
  readonly socket: PeerSocket
  /** Breaks the connection once all that was sent has left. */
  readonly sever: () => void
  readonly conversations: Conversations
  readonly turns: Turns
  readonly hasAgent: (id: string) => boolean
  readonly model: string
  readonly bootId: string
  /** Who stops which turn: one socket a turn, shared by all sockets. */
  readonly owners: Map<string, Connection>
}

/** What later messages leave out. */
interface Binding {
  agentId: string | undefined
  conversationId: string | undefined
  readonly options: ChatOptions
}

/** A socket that is open, or over. */
export class Connection {
  readonly #self: ConnectionOptions
  readonly #readers = new Map<string, Reader>()
  #binding: Binding = { agentId: undefined, conversationId: undefined, options: {} }
  /** A first frame was accepted. */
  #isGreeted = false
  #isOver = false

  constructor(self: ConnectionOptions) {
    this.#self = self
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Takes one text frame. */
  hear(text: string): void {
    if (this.#isOver) return
    try {
      this.#obey(readFrame(text))
      this.#isGreeted = true
    } catch (thrown) {
      const fault = Fault.of(thrown)
      this.#say({ ...fault.event, ...subjectOf(text) })
      if (!this.#isGreeted) this.close(fault.closeCode, fault.message)
    }
  }

  /** The peer has closed it, or it broke: a goodbye cancels what it owns. */
  lost(code: number): void {
    const owned = this.#owned()
    this.#end()
    if (code === 1000 || code === 1005) this.#cancel(owned)
  }

  /** Closes it. */
  close(code: number, reason: string): void {
    if (this.#isOver) return
    this.#end()
    this.#self.socket.close(code, Buffer.from(reason).subarray(0, REASON_BYTES).toString())
  }

  /** Whether it reads a conversation. */
  reads(conversationId: string): boolean {
    return this.#readers.has(conversationId)
  }

  /** Breaks it, as a network does. */
  cut(): void {
    if (this.#isOver) return
    this.#end()
    this.#self.sever()
  }

  /** Tells the peer that a conversation is gone, if it reads it. */
  forget(conversationId: string): void {
    if (!this.#leave(conversationId)) return
    const words = `conversation ${JSON.stringify(conversationId)} was deleted`
    this.#say({ ...new Fault('gone', words).event, conversationId })
  }

  #obey(frame: ClientFrame): void {
    const { turns } = this.#self
    switch (frame.type) {
      case 'hello':
        return this.#hello(frame)
      case 'message':
        return this.#message(frame)
      case 'regenerate':
        return this.#regenerate(frame)
      case 'cancel':
        return this.#cancelAsked(frame)
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
        return this.#say({ type: 'pong', ...(frame.id === undefined ? {} : { id: frame.id }) })
    }
  }

  #hello({ agentId, conversationId, options }: Readonly<Binding>): void {
    if (agentId !== undefined && !this.#self.hasAgent(agentId)) {
      throw new Fault('agent_not_found', 'Agent not found')
    }
    const known = conversationId === undefined ? undefined : this.#self.conversations.find(conversationId)
    this.#binding = { agentId, conversationId, options }
    this.#ready(known?.lastSeq ?? 0)
  }

  #message(frame: MessageFrame): void {
    const isFirst = !this.#isGreeted
    const { agentId, conversationId, options } = isFirst ? frame : this.#binding
    const binding: Binding = { agentId, conversationId, options }
    const named = frame.agentId ?? binding.agentId
    if (named === undefined) throw new Fault('invalid_request', 'key "agentId" is missing')
    const turn = this.#self.turns.begin({
      ...frame,
      agentId: named,
      conversationId: frame.conversationId ?? binding.conversationId,
      helloOptions: binding.options
    })
    this.#binding = binding
    if (frame.conversationId === undefined) binding.conversationId = turn.conversation.id
    this.#self.owners.set(keyOf(turn.conversation.id, turn.turnId), this)
    if (isFirst) this.#ready(turn.firstSeq - 1)
    this.#follow(turn)
  }

  #regenerate(frame: RegenerateFrame): void {
    const { conversationId = this.#binding.conversationId, ...again } = frame
    if (conversationId === undefined) {
      throw new Fault(
        'conversation_not_found',
        `turn ${JSON.stringify(frame.turnId)} not found: name its conversation`
      )
    }
    const turn = this.#self.turns.regenerate({
      ...again,
      conversationId,
      helloOptions: this.#binding.options
    })
    this.#self.owners.set(keyOf(conversationId, turn.turnId), this)
    this.#follow(turn)
  }

  /** Reads the turn, if the socket doesn't read its conversation yet; one that was joined, from its beginning again. */
  #follow({ conversation, firstSeq, isJoined }: TurnHandle): void {
    const reader = this.#readers.get(conversation.id)
    if (reader === undefined || (isJoined && reader.position >= firstSeq)) {
      this.#read(conversation, firstSeq - 1)
    }
  }

  #resume({ conversationId, after, own }: ClientFrame & { readonly type: 'resume' }): void {
    const conversation = this.#self.conversations.existing(conversationId)
    for (const turnId of own ? this.#self.turns.running(conversation) : []) {
      this.#self.owners.set(keyOf(conversationId, turnId), this)
    }
    const { lastSeq } = conversation
    if (after !== undefined && after > lastSeq) this.#say({ type: 'reset', lastSeq, conversationId })
    this.#read(conversation, Math.min(after ?? lastSeq, lastSeq))
  }

  #read(conversation: Conversation, after: number): void {
    this.#leave(conversation.id)
    const limit = LIMITS.conversationsPerSocket
    if (this.#readers.size >= limit) {
      throw new Fault('busy', `this socket reads ${limit} conversations, which is the limit: leave one`)
    }
    const { owners } = this.#self
    const reader = conversation.read(after, (event) => {
      const hasEnded = event.type === 'done' || event.type === 'error'
      if (hasEnded) owners.delete(keyOf(conversation.id, String(event['turnId'])))
      this.#say(event)
    })
    this.#readers.set(conversation.id, reader)
  }

  #leave(conversationId: string): boolean {
    this.#readers.get(conversationId)?.stop()
    return this.#readers.delete(conversationId)
  }

  #cancelAsked({ turnId, conversationId }: Pick<MessageFrame, 'turnId' | 'conversationId'>): void {
    const owned = this.#owned()
    if (turnId === undefined) {
      this.#cancel(owned)
      return
    }
    const named = this.#conversationOf(conversationId, turnId)
    if (this.#self.conversations.find(named) === undefined) throw unknownTurn(named, turnId)
    this.#self.turns.cancel(named, turnId)
  }

  /** The conversation of a turn: the one that is named, else that of a turn of ours, else the current one. */
  #conversationOf(named: string | undefined, turnId: string): string {
    const mine = this.#owned().find((turn) => turn.turnId === turnId)?.conversationId
    const found = named ?? mine ?? this.#binding.conversationId
    if (found !== undefined) return found
    const words = `turn ${JSON.stringify(turnId)} not found: name its conversation`
    throw new Fault('conversation_not_found', words)
  }

  #cancel(turns: readonly OwnedTurn[]): void {
    for (const { conversationId, turnId } of turns) {
      try {
        this.#self.turns.cancel(conversationId, turnId)
      } catch {
        // A turn that is gone with its conversation has been stopped.
      }
    }
  }

  #owned(): readonly OwnedTurn[] {
    return [...this.#self.owners]
      .filter(([, owner]) => owner === this)
      .map(([key]) => JSON.parse(key) as readonly [string, string])
      .map(([conversationId, turnId]) => ({ conversationId, turnId }))
  }

  #end(): void {
    this.#isOver = true
    for (const conversationId of [...this.#readers.keys()]) this.#leave(conversationId)
    for (const { conversationId, turnId } of this.#owned()) {
      this.#self.owners.delete(keyOf(conversationId, turnId))
    }
  }

  #ready(lastSeq: number): void {
    const { agentId, conversationId } = this.#binding
    const { model, bootId } = this.#self
    this.#say({
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

  #say(event: object): void {
    if (!this.#isOver) this.#self.socket.send(JSON.stringify(event))
  }
}

interface OwnedTurn {
  readonly conversationId: string
  readonly turnId: string
}

function keyOf(conversationId: string, turnId: string): string {
  return JSON.stringify([conversationId, turnId])
}
