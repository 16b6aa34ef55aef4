// Notices a connection that is dead though nobody has closed it: a laptop that slept, a network that changed.
import type { Schedule } from './backoff.js'

/** Silence after which the server is asked for a sign of life, and then again until it is given up. */
const PERIOD_MS = 20_000

/** What a heartbeat watches. */
export interface HeartbeatOptions {
  readonly schedule: Schedule
  /** Whether something is being waited for from a server that answers pings. */
  readonly isNeeded: () => boolean
  readonly ping: () => void
  /** The server has not answered. */
  readonly onSilence: () => void
}

/** A timer that is reset by every frame from the server. */
export class Heartbeat {
  readonly #options: HeartbeatOptions
  #cancel: (() => void) | undefined
  #silentPeriods = 0

  constructor(options: HeartbeatOptions) {
    this.#options = options
  }

  /** Begins to watch, unless it does. */
  start(): void {
    if (this.#cancel === undefined) this.#wait()
  }

  /** The server has said something. */
  heard(): void {
    this.#silentPeriods = 0
  }

  /** Watches no more, until it is started again. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#silentPeriods = 0
  }

  #wait(): void {
    this.#cancel = this.#options.schedule(() => this.#beat(), PERIOD_MS)
  }

  #beat(): void {
    this.#silentPeriods = this.#options.isNeeded() ? this.#silentPeriods + 1 : 0
    if (this.#silentPeriods > 2) {
      this.stop()
      this.#options.onSilence()
      return
    }
    // The first period may have begun just before the last frame.
    if (this.#silentPeriods === 2) this.#options.ping()
    this.#wait()
  }
}
