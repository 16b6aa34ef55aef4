// Computes how long to wait before the next attempt to connect.

/** Runs `callback` after `delayMs`, and returns a function that cancels it. */
export type Schedule = (callback: () => void, delayMs: number) => () => void

/** How to reconnect after a lost connection. */
export interface ReconnectOptions {
  /** Attempts in a row, without a frame from the server between them, before giving up. */
  readonly maxAttempts?: number
  /** The bound of the first delay; each further attempt doubles it. */
  readonly initialDelayMs?: number
  /** The upper limit of that bound. */
  readonly maxDelayMs?: number
  /** Replaces `Math.random`, so that tests know the delays. */
  readonly random?: () => number
  /** Replaces `setTimeout`, so that tests don't wait. */
  readonly schedule?: Schedule
}

/** `ReconnectOptions` with defaults for all fields. */
export type ReconnectPolicy = Required<ReconnectOptions>

/** Ten attempts take about a minute and a half, enough for a sidecar to restart and load its model. */
const DEFAULTS: ReconnectPolicy = {
  maxAttempts: 10,
  initialDelayMs: 250,
  maxDelayMs: 30_000,
  random: Math.random,
  schedule: (callback, delayMs) => {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  }
}

/** Fills in the defaults; `false` means that no attempt is made. */
export function reconnectPolicy(options: ReconnectOptions | false | undefined): ReconnectPolicy {
  if (options === false) return { ...DEFAULTS, maxAttempts: 0 }
  return {
    maxAttempts: options?.maxAttempts ?? DEFAULTS.maxAttempts,
    initialDelayMs: options?.initialDelayMs ?? DEFAULTS.initialDelayMs,
    maxDelayMs: options?.maxDelayMs ?? DEFAULTS.maxDelayMs,
    random: options?.random ?? DEFAULTS.random,
    schedule: options?.schedule ?? DEFAULTS.schedule
  }
}

/**
 * Returns the delay before attempt `attempt` (from 0), between half of its bound and the whole.
 *
 * Half of it is random, so that the clients of a restarted server don't reconnect all at once.
 */
export function delayMs(policy: ReconnectPolicy, attempt: number): number {
  const bound = Math.min(policy.maxDelayMs, policy.initialDelayMs * 2 ** attempt)
  return Math.round(bound * (0.5 + policy.random() / 2))
}
