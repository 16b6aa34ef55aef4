// Detects a connection that is dead though it was never closed: a laptop that slept, a network that changed.
import type { Schedule } from './backoff.js'

/** Silence after which the server is pinged, and then again until the connection is given up. */
const PERIOD_MS = 20_000

/** What a heartbeat watches, and what it calls. */
export interface HeartbeatOptions {
  readonly schedule: Schedule
  /** Whether the stream waits for something from a server that answers pings. */
  readonly isNeeded: () => boolean
  readonly ping: () => void
  /** Called when the server has not answered a ping. */
  readonly onTimeout: () => void
}

/** A timer that is reset by every frame from the server. */
export class Heartbeat {
  readonly #options: HeartbeatOptions
  #cancel: (() => void) | undefined
  #silentPeriods = 0

  constructor(options: HeartbeatOptions) {
    this.#options = options
  }

  /** Starts watching, unless it has started. */
  start(): void {
    if (this.#cancel === undefined) this.#scheduleNext()
  }

  /** Resets the timer: the server has sent a frame. */
  onFrame(): void {
    this.#silentPeriods = 0
  }

  /** Stops watching, until it is started again. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#silentPeriods = 0
  }

  #scheduleNext(): void {
    this.#cancel = this.#options.schedule(() => this.#onPeriod(), PERIOD_MS)
  }

  #onPeriod(): void {
    this.#silentPeriods = this.#options.isNeeded() ? this.#silentPeriods + 1 : 0
    if (this.#silentPeriods > 2) {
      this.stop()
      this.#options.onTimeout()
      return
    }
    // The first period may have started just before the last frame.
    if (this.#silentPeriods === 2) this.#options.ping()
    this.#scheduleNext()
  }
}
