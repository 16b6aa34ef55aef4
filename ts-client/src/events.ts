// What `onEvent` is given: the closed union of the events that this version knows.
import type * as wire from './generated/protocol.js'
import type { Frozen } from './frozen.js'

/** What went wrong, as a closed list. */
export type ErrorCode = wire.ErrorCode
/** Why an answer ended. */
export type FinishReason = wire.FinishReason
/** How much of everything the server takes. */
export type Limits = Frozen<wire.Limits>
/** Durations of a turn, in milliseconds. */
export type Timings = Frozen<wire.Timings>
/** Counts of tokens of a turn. */
export type Usage = Frozen<wire.Usage>
/** Who says a narration. */
export type NarrationSource = wire.NarrationSource

/**
 * Where an event belongs: `seq`, `conversationId`, `turnId` and `at`.
 *
 * A current server names all four on every event that it logs. An older one names nothing; then this client
 * fills in the conversation and the turn that it was waiting for.
 */
export type EventOrigin = Frozen<wire.Envelope>

/** Everything that `onEvent` can be given. Events of other types go to `onUnknownEvent`. */
export type ChatEvent = Heard<wire.ServerEvent>

/** The event of one type, e.g. `EventOf<'token'>`. */
export type EventOf<T extends ChatEvent['type']> = Extract<ChatEvent, { readonly type: T }>

/** Each event with its origin; an older server's `done` says nothing but that it is done. */
type Heard<E> = E extends { readonly type: 'done' }
  ? Frozen<Omit<E, 'usage' | 'timings'> & Partial<Pick<wire.Done, 'usage' | 'timings'>> & wire.Envelope>
  : Frozen<E & wire.Envelope>
