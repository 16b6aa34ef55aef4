// The two errors that this package rejects with: one for REST, one for a turn.
import type { ErrorCode } from './events.js'

/** A REST call failed. The message is the server's. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  /** HTTP status; 0 if there was no response. */
  readonly status: number
  /** The server's code, e.g. `agent_not_found`; absent from servers that send none. */
  readonly code: string | undefined

  constructor(message: string, status: number, code?: string, options?: ErrorOptions) {
    super(message, options)
    this.status = status
    this.code = code
  }
}

/** A turn ended in an error, reported by the server or found by this client. */
export class ChatError extends Error {
  override readonly name = 'ChatError'
  /** The error code, from the protocol's closed list; a code that this version doesn't know is `internal`. */
  readonly code: ErrorCode
  /** Whether sending the same message again may succeed. */
  readonly retryable: boolean

  constructor(code: ErrorCode, message: string, retryable: boolean, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.retryable = retryable
  }
}
