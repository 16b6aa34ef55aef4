// The protocol's table of error codes, as far as this client acts on it.
import type { ErrorCode } from './events.js'

/** Whether the same message may succeed later; the compiler checks that no code is missing. */
const RETRYABLE: Readonly<Record<ErrorCode, boolean>> = {
  invalid_request: false,
  unauthorised: false,
  forbidden: false,
  agent_not_found: false,
  conversation_not_found: false,
  gone: false,
  duplicate_turn: false,
  conflict: false,
  context_too_large: false,
  too_large: false,
  busy: true,
  draining: true,
  model_unavailable: true,
  upstream_failed: true,
  upstream_timeout: true,
  interrupted: true,
  slow_reader: true,
  controller_not_registered: true,
  relay_failed: true,
  relay_timeout: true,
  internal: true
}

/** Close codes by which a server says that it will never accept this frame. */
const REFUSAL_CLOSE_CODES: ReadonlyMap<number, ErrorCode> = new Map<number, ErrorCode>([
  [1007, 'invalid_request'],
  [1009, 'too_large'],
  [4400, 'invalid_request'],
  [4401, 'unauthorised'],
  [4403, 'forbidden'],
  [4404, 'agent_not_found'],
  [4409, 'duplicate_turn']
])

/** Returns the code on the wire, or `internal` for one that this version doesn't know. */
export function errorCode(code: unknown): ErrorCode {
  return isErrorCode(code) ? code : 'internal'
}

/** Returns whether the same message may succeed later. */
export function isRetryable(code: ErrorCode): boolean {
  return RETRYABLE[code]
}

/** Returns the error behind a close that reconnecting can't cure; `undefined` for every other close. */
export function refusal(closeCode: number): ErrorCode | undefined {
  return REFUSAL_CLOSE_CODES.get(closeCode)
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(RETRYABLE, code)
}
