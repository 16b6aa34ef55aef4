// The narrator over a fake relay: a message in, narration in a conversation's log and lines in the
// workspace's log out.
import { createHash } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { FeedEvent, FeedEventType, NarratorAccepted, NarratorFeed } from '../rest-types.js'
import type { NarrationSource } from '../events.js'
import { newId } from '../ids.js'
import { ProtocolError } from './protocol-error.js'
import type { Leases } from './leases.js'
import { now, type Conversations } from './log.js'

/** The agent that is asked if a message names none. */
const DEFAULT_AGENT = 'controller'

/** How long a relay may take by default. */
const RELAY_LIMIT_MS = 45_000

/** Length of a headline that is made from a text. */
const HEADLINE_CHARS = 80

/** The relay's answer to one message; after the last one it answers `echo: ` and the message. */
export type RelayAnswer =
  | { readonly answer: string; readonly headline?: string; readonly delayMs?: number }
  | { readonly error: string }
  | { readonly hang: true }

/** Options of the fake relay. */
export interface RelayOptions {
  readonly answers?: readonly RelayAnswer[]
  /** Whether the harness itself is the controller, so that no test has to register one. */
  readonly builtinController?: boolean
  /** How long the relay may take; 45,000 by default. */
  readonly limitMs?: number
}

/** A message that was checked. */
export interface NarratorMessage {
  readonly workspaceId: string
  readonly agentId: string | undefined
  readonly conversationId: string | undefined
  readonly message: string
}

type LineType =
  | 'USER_MESSAGE'
  | 'NARRATION'
  | 'NARRATION_SUPPRESSED'
  | 'AGENT_UPDATE'
  | 'AGENT_RESULT'
  | 'ERROR'
  | 'WORKSPACE_NARRATOR_COMPLETED'

/** One line of a workspace's log. */
interface Line extends Omit<FeedEvent, 'type'> {
  readonly type: LineType
  readonly workspaceId: string
  readonly conversationId: string
  readonly taskId?: string
  readonly agentId: string
}

/** The feed's type of each line; other lines are not part of the feed. */
const FEED_TYPES: Readonly<Partial<Record<LineType, FeedEventType>>> = {
  USER_MESSAGE: 'narration',
  NARRATION: 'narration',
  NARRATION_SUPPRESSED: 'suppressed',
  AGENT_UPDATE: 'agent-update',
  AGENT_RESULT: 'agent-result',
  ERROR: 'error'
}

/** The common fields of all lines of one message, or of one controller's call. */
export type LineOrigin = Pick<Line, 'workspaceId' | 'conversationId' | 'agentId' | 'taskId'>

/** The own fields of a line. */
export interface LineEntry {
  readonly type: LineType
  readonly source: NarrationSource
  readonly detail: string
  readonly headline?: string | undefined
}

/** The narrator of all workspaces. */
export class Narrator {
  readonly #conversations: Conversations
  readonly #leases: Leases
  readonly #relay: RelayOptions
  readonly #lines: Line[] = []
  /** Aborts every wait when the harness is closed. */
  readonly #closing = new AbortController()
  #relayCalls = 0

  constructor(conversations: Conversations, leases: Leases, relay: RelayOptions) {
    this.#conversations = conversations
    this.#leases = leases
    this.#relay = relay
  }

  /** Returns the harness's own lease, as the list of controllers shows it. */
  get builtIn(): readonly { readonly agentId: string }[] {
    return this.#relay.builtinController === true ? [{ agentId: DEFAULT_AGENT }] : []
  }

  /** Accepts a message; `answered` settles when its narration is in the conversation's log. */
  accept(request: NarratorMessage): {
    readonly accepted: NarratorAccepted
    readonly answered: Promise<void>
  } {
    const { workspaceId, agentId = DEFAULT_AGENT, message } = request
    this.#checkLease(agentId, workspaceId)
    const conversationId = request.conversationId ?? ownConversation(workspaceId, agentId)
    this.#conversations.find(conversationId)
    const taskId = newId()
    const origin: LineOrigin = { workspaceId, conversationId, agentId, taskId }
    const eventId = this.addLine(origin, { type: 'USER_MESSAGE', source: 'user', detail: message })
    const accepted = { workspaceId, conversationId, eventId, taskId }
    return { accepted, answered: this.#answer(origin, message, eventId) }
  }

  /** Adds a line; returns its id. */
  addLine(origin: LineOrigin, { type, source, detail, headline }: LineEntry): string {
    const id = newId()
    const severity =
      type === 'ERROR' ? 'error' : type === 'NARRATION_SUPPRESSED' ? 'warning' : ('info' as const)
    const line = { id, timestamp: now(), type, ...origin, headline: headline ?? headlineOf(detail), detail }
    this.#lines.unshift({ ...line, severity, source })
    return id
  }

  /** Returns the entries of a feed, the newest first. */
  feed(workspaceId: string, conversationId: string | undefined, limit: number): NarratorFeed {
    const events = this.#of(workspaceId, conversationId).flatMap((line) => {
      const type = FEED_TYPES[line.type]
      const { id, timestamp, headline, detail, severity, source } = line
      return type === undefined ? [] : [{ id, timestamp, type, headline, detail, severity, source }]
    })
    const own = conversationId ?? ownConversation(workspaceId, DEFAULT_AGENT)
    return { workspaceId, conversationId: own, events: events.slice(0, limit) }
  }

  /** Returns the lines themselves, the newest first. */
  raw(workspaceId: string, conversationId: string | undefined, limit: number): string {
    const lines = this.#of(workspaceId, conversationId).slice(0, limit)
    return lines.map((line) => `${JSON.stringify(line)}\n`).join('')
  }

  /** Stops waiting for relays. */
  close(): void {
    this.#closing.abort()
  }

  #of(workspaceId: string, conversationId: string | undefined): readonly Line[] {
    return this.#lines.filter(
      (line) =>
        line.workspaceId === workspaceId &&
        (conversationId === undefined || line.conversationId === conversationId)
    )
  }

  async #answer(origin: LineOrigin, message: string, eventId: string): Promise<void> {
    try {
      await this.#narrate(origin, message)
    } catch (thrown) {
      const error = ProtocolError.of(thrown)
      this.addLine(origin, { type: 'ERROR', source: 'system', detail: error.message, headline: error.code })
      throw error
    } finally {
      const type = 'WORKSPACE_NARRATOR_COMPLETED'
      this.addLine(origin, { type, source: 'system', detail: eventId, headline: 'Completed' })
    }
  }

  async #narrate(origin: LineOrigin, message: string): Promise<void> {
    const { text, headline } = await this.#callRelay(message)
    const entry: LineEntry = { type: 'NARRATION', source: 'narrator', detail: text, headline }
    try {
      this.#checkLease(origin.agentId, origin.workspaceId)
    } catch (error) {
      // The lease has ended while the relay was asked.
      this.addLine(origin, { ...entry, type: 'NARRATION_SUPPRESSED' })
      throw error
    }
    this.#conversations.open(origin.conversationId).append(undefined, {
      type: 'narration',
      text,
      headline: headline ?? headlineOf(text),
      source: 'narrator'
    })
    this.addLine(origin, entry)
  }

  async #callRelay(
    message: string
  ): Promise<{ readonly text: string; readonly headline?: string | undefined }> {
    const { answers = [], limitMs = RELAY_LIMIT_MS } = this.#relay
    const next: RelayAnswer = answers[this.#relayCalls] ?? { answer: `echo: ${message}` }
    this.#relayCalls += 1
    if ('error' in next) throw new ProtocolError('relay_failed', next.error)
    const delayMs = 'hang' in next ? limitMs : (next.delayMs ?? 0)
    if (delayMs > 0) await this.#delay(Math.min(delayMs, limitMs))
    if ('hang' in next || delayMs >= limitMs) {
      throw new ProtocolError('relay_timeout', `the relay didn't answer within ${limitMs / 1_000} s`)
    }
    if (next.answer.trim() === '') {
      throw new ProtocolError('relay_failed', "the relay's answer has no visible character")
    }
    return { text: next.answer, headline: next.headline }
  }

  async #delay(ms: number): Promise<void> {
    try {
      await wait(ms, undefined, { signal: this.#closing.signal })
    } catch {
      throw new ProtocolError('draining', 'the harness is closed')
    }
  }

  #checkLease(agentId: string, workspaceId: string): void {
    if (this.#relay.builtinController !== true) this.#leases.checkHeld(agentId, workspaceId)
  }
}

/**
 * Returns the conversation of a workspace and an agent: always the same one, named as the sidecar names it.
 */
function ownConversation(workspaceId: string, agentId: string): string {
  const hash = createHash('sha256')
  for (const part of [workspaceId, agentId]) {
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(Buffer.byteLength(part)))
    hash.update(length).update(part)
  }
  const readable = [...workspaceId].slice(0, 40).join('').toLowerCase()
  const words = readable.replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '')
  return ['narrator', words, hash.digest('hex').slice(0, 32)].filter((part) => part !== '').join('-')
}

/** Returns the beginning of a text's first line that isn't blank. */
function headlineOf(text: string): string {
  const first = text.split('\n').find((line) => line.trim() !== '') ?? ''
  const words = [...first.trim().replace(/\s+/g, ' ')]
  return words.length > HEADLINE_CHARS ? `${words.slice(0, HEADLINE_CHARS).join('')}…` : words.join('')
}
