// The conversations: each an append-only log, numbered without a gap, whose readers get every event at once.
import type { JsonRecord } from '../json.js'
import type * as wire from '../generated/protocol.js'
import { newId } from '../ids.js'
import { ProtocolError } from './protocol-error.js'

/** A logged event as a reader gets it. */
export type LoggedEvent = JsonRecord & { readonly type: string; readonly seq: number }

/** The fields of an event without its envelope. */
export type OwnFields = JsonRecord & { readonly type: string }

/** One turn as `GET /conversations/{id}` shows it. */
export type TurnRecord = wire.Turn

/** One conversation. */
export class Conversation {
  readonly id: string
  readonly createdAt = now()
  readonly events: LoggedEvent[] = []
  readonly turns = new Map<string, TurnRecord>()
  headTurnId: string | null = null
  readonly #readers = new Set<Reader>()

  constructor(id: string) {
    this.id = id
  }

  get lastSeq(): number {
    return this.events.length
  }

  /** Logs an event and sends it to the readers; returns its number. */
  append(turnId: string | undefined, own: OwnFields): number {
    const event: LoggedEvent = {
      ...own,
      seq: this.lastSeq + 1,
      conversationId: this.id,
      ...(turnId === undefined ? {} : { turnId }),
      at: now()
    }
    this.events.push(event)
    for (const reader of [...this.#readers]) reader.catchUp()
    return event.seq
  }

  /** Reads what follows `after`, and then what is new. */
  read(after: number, onEvent: (event: LoggedEvent) => void): Reader {
    const reader = new Reader(this, after, onEvent, () => this.#readers.delete(reader))
    this.#readers.add(reader)
    reader.catchUp()
    return reader
  }

  /** Returns the conversation as the list of conversations shows it. */
  summary(): wire.ConversationSummary {
    return {
      conversationId: this.id,
      createdAt: this.createdAt,
      updatedAt: String(this.events.at(-1)?.['at'] ?? this.createdAt),
      headTurnId: this.headTurnId,
      lastSeq: this.lastSeq
    }
  }
}

/** A reader with a cursor. */
export class Reader {
  readonly #conversation: Conversation
  readonly #onEvent: (event: LoggedEvent) => void
  readonly #leave: () => void
  #position: number
  #isOver = false

  constructor(
    conversation: Conversation,
    after: number,
    onEvent: (event: LoggedEvent) => void,
    leave: () => void
  ) {
    this.#conversation = conversation
    this.#position = after
    this.#onEvent = onEvent
    this.#leave = leave
  }

  /** The last `seq` that it has delivered. */
  get position(): number {
    return this.#position
  }

  /** Delivers the events that it has not delivered yet. */
  catchUp(): void {
    while (!this.#isOver) {
      const event = this.#conversation.events[this.#position]
      if (event === undefined) return
      this.#position += 1
      this.#onEvent(event)
    }
  }

  stop(): void {
    this.#isOver = true
    this.#leave()
  }
}

/** All conversations; of deleted ones only the ids. */
export class Conversations {
  readonly #conversations = new Map<string, Conversation>()
  readonly #deleted = new Set<string>()

  /** Returns the conversation, and creates it if it is new. */
  open(id: string = newId()): Conversation {
    const conversation = this.find(id) ?? new Conversation(id)
    this.#conversations.set(id, conversation)
    return conversation
  }

  /** Returns the conversation, or `undefined` if there is none. */
  find(id: string): Conversation | undefined {
    if (this.#deleted.has(id))
      throw new ProtocolError('gone', `conversation ${JSON.stringify(id)} was deleted`)
    return this.#conversations.get(id)
  }

  /** Returns the conversation, which must exist. */
  existing(id: string): Conversation {
    const found = this.find(id)
    if (found !== undefined) return found
    throw new ProtocolError('conversation_not_found', `conversation ${JSON.stringify(id)} not found`)
  }

  /** Returns all conversations, the newest first. */
  all(): readonly Conversation[] {
    return [...this.#conversations.values()].reverse()
  }

  delete(id: string): void {
    this.existing(id)
    this.#conversations.delete(id)
    this.#deleted.add(id)
  }
}

/** Returns the time in RFC 3339, UTC, with milliseconds. */
export function now(): string {
  return new Date().toISOString()
}
