// The turns in flight on one stream, oldest first, and which of them an event belongs to.
import type { ChatEvent } from './events.js'
import type { Turn } from './turn.js'

/** Events that belong to a turn only if they name it. */
const OF_NO_TURN: ReadonlySet<ChatEvent['type']> = new Set([
  'ready',
  'pong',
  'reset',
  'narration',
  'summary'
] as const)

/** The turns that have been sent, or wait to be, and have not ended. */
export class PendingTurns {
  readonly #turns = new Map<string, Turn>()

  get size(): number {
    return this.#turns.size
  }

  add(turn: Turn): void {
    this.#turns.set(turn.turnId, turn)
  }

  get(turnId: string): Turn | undefined {
    return this.#turns.get(turnId)
  }

  remove(turn: Turn): void {
    this.#turns.delete(turn.turnId)
  }

  /** Returns a copy in the order of sending, so that turns may end during an iteration. */
  all(): readonly Turn[] {
    return [...this.#turns.values()]
  }

  /** Returns the turns of one conversation, oldest first. */
  of(conversationId: string): readonly Turn[] {
    return this.all().filter((turn) => turn.conversationId === conversationId)
  }

  /** Returns the oldest turn that was sent and has had no event yet. */
  oldestUnanswered(): Turn | undefined {
    return this.all().find((turn) => turn.sent && !turn.isHeld && !turn.acknowledged)
  }

  /**
   * Returns the turn of this stream that an event belongs to, if there is one.
   *
   * Older servers answer one message after the other and name no turn: then it is the oldest one, of the
   * event's conversation if that is named, else of those whose conversation the server has yet to name. An
   * event with a `seq` but no turn belongs to none, and what narrators say is never part of an answer.
   */
  owner(event: ChatEvent): Turn | undefined {
    if (event.turnId !== undefined) return this.#turns.get(event.turnId)
    if (event.seq !== undefined || OF_NO_TURN.has(event.type)) return undefined
    const sent = this.all().filter((turn) => turn.sent)
    const { conversationId } = event
    if (conversationId === undefined) return sent[0]
    return (
      sent.find((turn) => turn.conversationId === conversationId) ?? sent.find((turn) => !turn.acknowledged)
    )
  }
}
