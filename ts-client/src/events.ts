// What `onEvent` is given: the closed union of the events that this version knows.
import type { ErrorCode, FinishReason, Limits, Timings, Usage } from './wire.js'

export type { ErrorCode, FinishReason, Limits, Timings, Usage }

/**
 * Where an event belongs.
 *
 * A current server names all four on every event that it logs. An older one names nothing; then the client
 * fills in the conversation and the turn that it was waiting for.
 */
export interface EventOrigin {
  /** Place in the conversation's log, from 1; absent from events that are not logged. */
  readonly seq?: number
  readonly conversationId?: string
  readonly turnId?: string
  /** RFC 3339, with milliseconds. */
  readonly at?: string
}

/** The socket is bound; answers a hello. */
export interface ReadyEvent extends EventOrigin {
  readonly type: 'ready'
  readonly protocol: number
  readonly agentId: string
  readonly model: string
  readonly limits: Limits
  readonly lastSeq: number
  readonly bootId: string
}

/** The user's turn is on disk. */
export interface UserEvent extends EventOrigin {
  readonly type: 'user'
  readonly text: string
  readonly agentId: string
}

/** The model has begun. */
export interface StartedEvent extends EventOrigin {
  readonly type: 'started'
  readonly model: string
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly windowTokens: number
}

/** A piece of the answer, never half a character. */
export interface TokenEvent extends EventOrigin {
  readonly type: 'token'
  readonly token: string
  /** The first `seq` of several that were joined in this event. */
  readonly firstSeq?: number
}

/** What has just left the model's window. */
export interface EvictedEvent extends EventOrigin {
  readonly type: 'evicted'
  readonly tokens: number
  /** The turns of which nothing is left in view, oldest first. */
  readonly turns: readonly string[]
}

/** The turn ended well, or was cancelled. */
export interface DoneEvent extends EventOrigin {
  readonly type: 'done'
  readonly finishReason: FinishReason
  readonly usage?: Usage
  readonly timings?: Timings
}

/** The turn ended badly, or a frame was refused. */
export interface ErrorEvent extends EventOrigin {
  readonly type: 'error'
  readonly code: ErrorCode
  readonly message: string
  readonly retryable: boolean
}

/** Answers a ping. */
export interface PongEvent extends EventOrigin {
  readonly type: 'pong'
  readonly id?: string
}

/** The log ends before what was seen: what this client holds after `lastSeq` is not in it any more. */
export interface ResetEvent extends EventOrigin {
  readonly type: 'reset'
  readonly lastSeq: number
}

/** Everything that `onEvent` can be given. Events of other types go to `onUnknownEvent`. */
export type ChatEvent =
  | ReadyEvent
  | UserEvent
  | StartedEvent
  | TokenEvent
  | EvictedEvent
  | DoneEvent
  | ErrorEvent
  | PongEvent
  | ResetEvent

/** The event of one type, e.g. `EventOf<'token'>`. */
export type EventOf<T extends ChatEvent['type']> = Extract<ChatEvent, { readonly type: T }>
