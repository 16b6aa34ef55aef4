// The frames that this client sends.
import type { Options } from './wire.js'

/** Settings of an answer; an absent key leaves the choice to the agent, `null` goes back to the default. */
export type ChatOptions = Options

/** A user's turn. Both spellings of the older protocol are in it, with equal values. */
export interface MessageFrame {
  readonly type: 'message'
  readonly turnId: string
  readonly agentId: string
  readonly agent_id: string
  readonly conversationId: string
  readonly conversation_id: string
  readonly message: string
  readonly user_message: string
  readonly options?: ChatOptions
}

/** Binds the socket to an agent and a conversation before the first message. */
export interface HelloFrame {
  readonly type: 'hello'
  readonly agentId: string
  readonly conversationId?: string
  readonly options?: ChatOptions
}

/** Reads a conversation's log from after `after`, then live. */
export interface ResumeFrame {
  readonly type: 'resume'
  readonly conversationId: string
  readonly after: number
  /** Takes over the turn that runs in it, so that stopping this socket stops that turn. */
  readonly own?: true
}

/** Stops one answer, or all that this socket owns. */
export interface CancelFrame {
  readonly type: 'cancel'
  readonly turnId?: string
  readonly conversationId?: string
}

/** Everything that this client says. */
export type Frame = MessageFrame | HelloFrame | ResumeFrame | CancelFrame

/** Puts a message into words. */
export function messageFrame(turn: {
  readonly turnId: string
  readonly agentId: string
  readonly conversationId: string
  readonly message: string
  readonly options: ChatOptions
}): MessageFrame {
  const { turnId, agentId, conversationId, message, options } = turn
  return {
    type: 'message',
    turnId,
    agentId,
    agent_id: agentId,
    conversationId,
    conversation_id: conversationId,
    message,
    user_message: message,
    ...(Object.keys(options).length > 0 ? { options } : {})
  }
}

/**
 * Merges options key by key; later ones win, a key set to `undefined` is as good as absent.
 *
 * @throws RangeError on a number that JSON can't say: it would arrive as `null`, which means something else.
 */
export function mergeOptions(...layers: readonly (ChatOptions | undefined)[]): ChatOptions {
  const merged: Record<string, unknown> = {}
  for (const layer of layers) {
    for (const [key, value] of Object.entries(layer ?? {}) as readonly (readonly [string, unknown])[]) {
      if (value === undefined) continue
      if (typeof value === 'number' && !Number.isFinite(value)) {
        throw new RangeError(`Invalid option ${key}: ${value} is not a finite number`)
      }
      merged[key] = value
    }
  }
  return merged as ChatOptions
}
