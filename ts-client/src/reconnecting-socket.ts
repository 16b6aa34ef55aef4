// Keeps one connection open: connects, waits and reconnects, idles, closes; replaces one that went silent. Knows
// nothing of chat.
import { delayMs, type ReconnectPolicy } from './backoff.js'
import { Connection, READER_GONE, type CloseInfo } from './connection.js'
import { Heartbeat } from './heartbeat.js'
import type { SocketFactory } from './socket.js'

/**
 * The state of a stream's connection.
 *
 * `idle`: there is none and nothing to send; the next message opens one.
 */
export type ConnectionState = 'connecting' | 'open' | 'reconnecting' | 'idle' | 'closed'

/** Where to connect to, and what to call. */
export interface ReconnectingSocketOptions {
  readonly url: string
  readonly factory: SocketFactory
  readonly policy: ReconnectPolicy
  readonly onState: (state: ConnectionState) => void
  /** Called when a connection is open. */
  readonly onOpen: () => void
  readonly onData: (data: unknown) => void
  /** Whether something is awaited from a server that answers pings: only then is silence a sign of a dead connection. */
  readonly expectsData: () => boolean
  /** Sends a ping. */
  readonly ping: () => void
  /**
   * Called when an open connection was lost; returns whether to reconnect now or idle until the next message.
   */
  readonly onClose: (closed: CloseInfo) => 'reconnect' | 'rest'
  /** Called when no attempt is left. */
  readonly onGiveUp: (closed: CloseInfo) => void
}

/** A connection to the server that survives the loss of a socket. */
export class ReconnectingSocket {
  readonly #options: ReconnectingSocketOptions
  readonly #heartbeat: Heartbeat
  #connection: Connection | undefined
  #state: ConnectionState = 'connecting'
  #attempts = 0
  #cancelRetry: (() => void) | undefined

  constructor(options: ReconnectingSocketOptions) {
    this.#options = options
    this.#heartbeat = new Heartbeat({
      schedule: options.policy.schedule,
      isNeeded: options.expectsData,
      ping: options.ping,
      onTimeout: () => this.renew(READER_GONE, 'silence')
    })
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** Whether there is an open connection now. */
  get isOpen(): boolean {
    return this.#connection?.isOpen === true
  }

  /** Opens the first connection, with one attempt: a wrong address must not look like a slow server. */
  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#connect(
        () => resolve(),
        (closed) => {
          this.#setState('closed')
          reject(new Error('WebSocket closed before opening', { cause: closed.cause ?? closed }))
        }
      )
    })
  }

  /** Sends a frame if there is a connection; returns whether there was. */
  send(text: string): boolean {
    if (!this.isOpen) return false
    this.#connection?.send(text)
    return this.isOpen
  }

  /** Connects if it is idle, since there is something to send. */
  wake(): void {
    if (this.#state !== 'idle') return
    this.#attempts = 0
    this.#retry()
    this.#setState('reconnecting')
  }

  /** Resets the count of failed attempts, after a valid frame from the server. */
  resetAttempts(): void {
    this.#attempts = 0
  }

  /** Closes the connection and opens another after the usual delay. Returns false if that isn't allowed. */
  renew(code: number, reason: string): boolean {
    if (this.#options.policy.maxAttempts === 0) return false
    this.#connection?.close(code, reason)
    this.#scheduleRetry({ code, reason, opened: true })
    return true
  }

  /** Closes it for good; further calls do nothing. */
  close(code: number, reason: string): void {
    if (this.#state === 'closed') return
    this.#cancelRetry?.()
    this.#connection?.close(code, reason)
    this.#setState('closed')
  }

  #connect(onOpen: () => void, onFailed: (closed: CloseInfo) => void): void {
    this.#connection = new Connection({
      url: this.#options.url,
      factory: this.#options.factory,
      schedule: this.#options.policy.schedule,
      onOpen: () => {
        this.#options.onOpen()
        // Sending the first frames may have found the socket broken again.
        if (!this.isOpen) return
        this.#setState('open')
        onOpen()
      },
      onData: (data) => {
        this.#heartbeat.onFrame()
        this.#options.onData(data)
      },
      onClose: (closed) => (closed.opened ? this.#onLost(closed) : onFailed(closed))
    })
  }

  #onLost(closed: CloseInfo): void {
    if (this.#options.policy.maxAttempts === 0) {
      this.#setState('closed')
      this.#options.onGiveUp(closed)
      return
    }
    const next = this.#options.onClose(closed)
    // The callback may have stopped the stream.
    if (this.#state === 'closed') return
    if (next === 'rest') this.#setState('idle')
    else this.#scheduleRetry(closed)
  }

  /** Schedules the next attempt, or gives up. */
  #scheduleRetry(closed: CloseInfo): void {
    if (this.#state === 'closed') return
    const { policy } = this.#options
    if (this.#attempts >= policy.maxAttempts) {
      this.#setState('idle')
      this.#options.onGiveUp(closed)
      return
    }
    this.#cancelRetry = policy.schedule(() => this.#retry(), delayMs(policy, this.#attempts))
    this.#attempts += 1
    this.#setState('reconnecting')
  }

  #retry(): void {
    this.#connect(
      () => undefined,
      (closed) => this.#scheduleRetry(closed)
    )
  }

  #setState(state: ConnectionState): void {
    if (this.#state === state) return
    this.#state = state
    if (state === 'open') this.#heartbeat.start()
    else this.#heartbeat.stop()
    this.#options.onState(state)
  }
}
