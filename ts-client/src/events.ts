// The events that `onEvent` receives: the closed union of those that this version knows.
import type * as wire from './generated/protocol.js'
import type { Frozen } from './frozen.js'

/** The error codes, as a closed list. */
export type ErrorCode = wire.ErrorCode
/** Why an answer ended. */
export type FinishReason = wire.FinishReason
/** The server's limits. */
export type Limits = Frozen<wire.Limits>
/** Durations of a turn, in milliseconds. */
export type Timings = Frozen<wire.Timings>
/** Counts of tokens of a turn. */
export type Usage = Frozen<wire.Usage>
/** The source of a narration. */
export type NarrationSource = wire.NarrationSource

/**
 * Where an event belongs: `seq`, `conversationId`, `turnId` and `at`.
 *
 * A current server sets all four on every event that it logs. An older one sets none; then this client fills
 * in the conversation and the turn that it was waiting for.
 */
export type EventOrigin = Frozen<wire.Envelope>

/** Every event that `onEvent` can receive. Events of other types go to `onUnknownEvent`. */
export type ChatEvent = Received<wire.ServerEvent>

/** The event of one type, e.g. `EventOf<'token'>`. */
export type EventOf<T extends ChatEvent['type']> = Extract<ChatEvent, { readonly type: T }>

/** An event with its origin; an older server's `done` has no other fields. */
type Received<E> = E extends { readonly type: 'done' }
  ? Frozen<Omit<E, 'usage' | 'timings'> & Partial<Pick<wire.Done, 'usage' | 'timings'>> & wire.Envelope>
  : Frozen<E & wire.Envelope>
