// The narrator over a fake relay: a message in, narration in a conversation's log and lines in the workspace's log out.
import { createHash } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { FeedEvent, FeedEventType, NarratorAccepted, NarratorFeed } from '../rest-types.js'
import type { NarrationSource } from '../events.js'
import { newId } from '../ids.js'
import { Fault } from './faults.js'
import type { Leases } from './leases.js'
import { now, type Conversations } from './log.js'

/** The agent that is asked when a message names none. */
const DEFAULT_AGENT = 'controller'

/** How long a relay may take. */
const RELAY_LIMIT_MS = 45_000

/** Characters of a headline that is made from a text. */
const HEADLINE_CHARS = 80

/** What the relay does with one message; after the last one it answers `echo: ` and the message. */
export type RelayAnswer =
  | { readonly answer: string; readonly headline?: string; readonly delayMs?: number }
  | { readonly error: string }
  | { readonly hang: true }

/** The fake relay. */
export interface RelayOptions {
  readonly answers?: readonly RelayAnswer[]
  /** Whether the harness itself is the controller, so that nobody has to register one. */
  readonly builtinController?: boolean
  /** How long the relay may take; 45,000 unless told otherwise. */
  readonly limitMs?: number
}

/** A message that makes sense. */
export interface NarratorQuestion {
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

/** What the feed calls a line; what it doesn't name is no part of it. */
const FEED_TYPES: Readonly<Partial<Record<LineType, FeedEventType>>> = {
  USER_MESSAGE: 'narration',
  NARRATION: 'narration',
  NARRATION_SUPPRESSED: 'suppressed',
  AGENT_UPDATE: 'agent-update',
  AGENT_RESULT: 'agent-result',
  ERROR: 'error'
}

/** What all lines of one message, or of one controller's call, have in common. */
export type LineOrigin = Pick<Line, 'workspaceId' | 'conversationId' | 'agentId' | 'taskId'>

/** What a line says of its own. */
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
  /** Ends every wait when the harness is closed. */
  readonly #closing = new AbortController()
  #asked = 0

  constructor(conversations: Conversations, leases: Leases, relay: RelayOptions) {
    this.#conversations = conversations
    this.#leases = leases
    this.#relay = relay
  }

  /** The harness's own lease, as the list of controllers shows it. */
  get builtIn(): readonly { readonly agentId: string }[] {
    return this.#relay.builtinController === true ? [{ agentId: DEFAULT_AGENT }] : []
  }

  /** Takes a message; `answered` settles when its narration is in the conversation's log. */
  tell(question: NarratorQuestion): {
    readonly accepted: NarratorAccepted
    readonly answered: Promise<void>
  } {
    const { workspaceId, agentId = DEFAULT_AGENT, message } = question
    this.#checkLease(agentId, workspaceId)
    const conversationId = question.conversationId ?? ownConversation(workspaceId, agentId)
    this.#conversations.find(conversationId)
    const taskId = newId()
    const origin: LineOrigin = { workspaceId, conversationId, agentId, taskId }
    const eventId = this.note(origin, { type: 'USER_MESSAGE', source: 'user', detail: message })
    const accepted = { workspaceId, conversationId, eventId, taskId }
    return { accepted, answered: this.#work(origin, message, eventId) }
  }

  /** Writes a line; the id that it is given. */
  note(origin: LineOrigin, { type, source, detail, headline }: LineEntry): string {
    const id = newId()
    const severity =
      type === 'ERROR' ? 'error' : type === 'NARRATION_SUPPRESSED' ? 'warning' : ('info' as const)
    const line = { id, timestamp: now(), type, ...origin, headline: headline ?? headlineOf(detail), detail }
    this.#lines.unshift({ ...line, severity, source })
    return id
  }

  /** The newest first. */
  feed(workspaceId: string, conversationId: string | undefined, limit: number): NarratorFeed {
    const events = this.#of(workspaceId, conversationId).flatMap((line) => {
      const type = FEED_TYPES[line.type]
      const { id, timestamp, headline, detail, severity, source } = line
      return type === undefined ? [] : [{ id, timestamp, type, headline, detail, severity, source }]
    })
    const own = conversationId ?? ownConversation(workspaceId, DEFAULT_AGENT)
    return { workspaceId, conversationId: own, events: events.slice(0, limit) }
  }

  /** The lines themselves, the newest first. */
  raw(workspaceId: string, conversationId: string | undefined, limit: number): string {
    const lines = this.#of(workspaceId, conversationId).slice(0, limit)
    return lines.map((line) => `${JSON.stringify(line)}\n`).join('')
  }

  /** Waits for no relay any more. */
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

  async #work(origin: LineOrigin, message: string, eventId: string): Promise<void> {
    try {
      await this.#narrate(origin, message)
    } catch (thrown) {
      const fault = Fault.of(thrown)
      this.note(origin, { type: 'ERROR', source: 'system', detail: fault.message, headline: fault.code })
      throw fault
    } finally {
      const type = 'WORKSPACE_NARRATOR_COMPLETED'
      this.note(origin, { type, source: 'system', detail: eventId, headline: 'Completed' })
    }
  }

  async #narrate(origin: LineOrigin, message: string): Promise<void> {
    const { text, headline } = await this.#ask(message)
    const entry: LineEntry = { type: 'NARRATION', source: 'narrator', detail: text, headline }
    try {
      this.#checkLease(origin.agentId, origin.workspaceId)
    } catch (fault) {
      // The lease has ended while the relay was asked.
      this.note(origin, { ...entry, type: 'NARRATION_SUPPRESSED' })
      throw fault
    }
    this.#conversations.open(origin.conversationId).append(undefined, {
      type: 'narration',
      text,
      headline: headline ?? headlineOf(text),
      source: 'narrator'
    })
    this.note(origin, entry)
  }

  async #ask(message: string): Promise<{ readonly text: string; readonly headline?: string | undefined }> {
    const { answers = [], limitMs = RELAY_LIMIT_MS } = this.#relay
    const next: RelayAnswer = answers[this.#asked] ?? { answer: `echo: ${message}` }
    this.#asked += 1
    if ('error' in next) throw new Fault('relay_failed', next.error)
    const delayMs = 'hang' in next ? limitMs : (next.delayMs ?? 0)
    if (delayMs > 0) await this.#pause(Math.min(delayMs, limitMs))
    if ('hang' in next || delayMs >= limitMs) {
      throw new Fault('relay_timeout', `the relay didn't answer within ${limitMs / 1_000} s`)
    }
    if (next.answer.trim() === '') {
      throw new Fault('relay_failed', "the relay's answer has no visible character")
    }
    return { text: next.answer, headline: next.headline }
  }

  async #pause(ms: number): Promise<void> {
    try {
      await wait(ms, undefined, { signal: this.#closing.signal })
    } catch {
      throw new Fault('draining', 'the harness is closed')
    }
  }

  #checkLease(agentId: string, workspaceId: string): void {
    if (this.#relay.builtinController !== true) this.#leases.checkHeld(agentId, workspaceId)
  }
}

/** The conversation of a workspace and an agent: always the same one, named as the sidecar names it. */
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

/** A text in a few words: the beginning of its first line that has any. */
function headlineOf(text: string): string {
  const first = text.split('\n').find((line) => line.trim() !== '') ?? ''
  const words = [...first.trim().replace(/\s+/g, ' ')]
  return words.length > HEADLINE_CHARS ? `${words.slice(0, HEADLINE_CHARS).join('')}…` : words.join('')
}
