// What the harness refuses, in the words of the protocol's table of error codes.
import { isRetryable } from '../error-codes.js'
import type { ErrorCode } from '../events.js'
import type * as wire from '../generated/protocol.js'

/** HTTP status and close code of each error; a socket is closed with 4500 where the table names no code. */
const TABLE: Readonly<Record<ErrorCode, readonly [status: number, close: number]>> = {
  invalid_request: [400, 4400],
  unauthorised: [401, 4401],
  forbidden: [403, 4403],
  agent_not_found: [404, 4404],
  conversation_not_found: [404, 4404],
  gone: [410, 4404],
  duplicate_turn: [409, 4409],
  conflict: [412, 4409],
  context_too_large: [413, 1009],
  too_large: [413, 1009],
  busy: [429, 4429],
  draining: [503, 1013],
  model_unavailable: [503, 4500],
  upstream_failed: [502, 4500],
  upstream_timeout: [504, 4500],
  interrupted: [503, 4500],
  slow_reader: [503, 4413],
  controller_not_registered: [409, 4500],
  relay_failed: [502, 4500],
  relay_timeout: [504, 4500],
  internal: [500, 4500]
}

/** Own fields of an `error` event. */
export type ErrorFields = Readonly<{ type: 'error' } & wire.ErrorEvent>

/** A refusal, on its way to whoever asked. */
export class Fault extends Error {
  override readonly name = 'Fault'
  readonly code: ErrorCode
  readonly status: number
  readonly #retryable: boolean

  constructor(code: ErrorCode, message: string, status = TABLE[code][0], retryable = isRetryable(code)) {
    super(message)
    this.code = code
    this.status = status
    this.#retryable = retryable
  }

  /** The code that a first frame's refusal closes the socket with. */
  get closeCode(): number {
    return TABLE[this.code][1]
  }

  /** The refusal as an event. */
  get event(): ErrorFields {
    return { type: 'error', code: this.code, message: this.message, retryable: this.#retryable }
  }

  /** Something that was thrown, as a refusal: what is none of ours is a fault of the script. */
  static of(thrown: unknown): Fault {
    if (thrown instanceof Fault) return thrown
    return new Fault('internal', thrown instanceof Error ? thrown.message : String(thrown))
  }
}
