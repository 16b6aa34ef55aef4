// The errors of the harness, by the protocol's table of error codes.
import { isRetryable } from '../error-codes.js'
import type { ErrorCode } from '../events.js'
import type * as wire from '../generated/protocol.js'

/** HTTP status and close code of each error; the close code is 4500 where the table names none. */
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

/** The fields of an `error` event without its envelope. */
export type ErrorFields = Readonly<{ type: 'error' } & wire.ErrorEvent>

/** An error that is answered to the client. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  readonly code: ErrorCode
  readonly status: number
  readonly #retryable: boolean

  constructor(code: ErrorCode, message: string, status = TABLE[code][0], retryable = isRetryable(code)) {
    super(message)
    this.code = code
    this.status = status
    this.#retryable = retryable
  }

  /** The close code of a socket whose first frame is refused. */
  get closeCode(): number {
    return TABLE[this.code][1]
  }

  /** The error as an event. */
  get event(): ErrorFields {
    return { type: 'error', code: this.code, message: this.message, retryable: this.#retryable }
  }

  /** Converts what was thrown; anything else than a `ProtocolError` is an error of the script. */
  static of(thrown: unknown): ProtocolError {
    if (thrown instanceof ProtocolError) return thrown
    return new ProtocolError('internal', thrown instanceof Error ? thrown.message : String(thrown))
  }
}
