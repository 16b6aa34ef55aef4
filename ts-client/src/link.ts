// Keeps one connection up: connects, waits and connects again, rests, ends. Knows nothing of chat.
import { delayMs, type ReconnectPolicy } from './backoff.js'
import { Connection, type Closed } from './connection.js'
import type { SocketFactory } from './socket.js'

/**
 * What a stream's connection is doing.
 *
 * `idle`: there is none and nothing to say; the next message makes one.
 */
export type ConnectionState = 'connecting' | 'open' | 'reconnecting' | 'idle' | 'closed'

/** Where to connect to, and what to call. */
export interface LinkOptions {
  readonly url: string
  readonly factory: SocketFactory
  readonly policy: ReconnectPolicy
  readonly onState: (state: ConnectionState) => void
  /** A connection is open. */
  readonly onUp: () => void
  readonly onData: (data: unknown) => void
  /** An open connection was lost; says whether to come back at once or only for the next message. */
  readonly onDown: (closed: Closed) => 'reconnect' | 'rest'
  /** No attempt is left. */
  readonly onGiveUp: (closed: Closed) => void
}

/** The line to the server, over as many connections as it takes. */
export class Link {
  readonly #options: LinkOptions
  #connection: Connection | undefined
  #state: ConnectionState = 'connecting'
  #attempts = 0
  #stopWaiting: (() => void) | undefined

  constructor(options: LinkOptions) {
    this.#options = options
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** Whether there is an open connection now. */
  get isUp(): boolean {
    return this.#connection?.isOpen === true
  }

  /** Makes the first connection, which is tried once: a wrong address must not look like a slow server. */
  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#connect(
        () => resolve(),
        (closed) => {
          this.#enter('closed')
          reject(new Error('WebSocket closed before opening', { cause: closed.cause ?? closed }))
        }
      )
    })
  }

  /** Sends a frame if there is a connection, and says whether there was. */
  send(text: string): boolean {
    if (!this.isUp) return false
    this.#connection?.send(text)
    return this.isUp
  }

  /** Connects if it rests, since there is something to say. */
  wake(): void {
    if (this.#state !== 'idle') return
    this.#attempts = 0
    this.#retry()
    this.#enter('reconnecting')
  }

  /** Says that the server has spoken sense on this connection: earlier failures are forgiven. */
  forgive(): void {
    this.#attempts = 0
  }

  /** Drops the connection and makes another after the usual delay. Returns false when that isn't allowed. */
  renew(code: number, reason: string): boolean {
    if (this.#options.policy.maxAttempts === 0) return false
    this.#connection?.close(code, reason)
    this.#wait({ code, reason, opened: true })
    return true
  }

  /** Ends it for good; twice is once. */
  close(code: number, reason: string): void {
    if (this.#state === 'closed') return
    this.#stopWaiting?.()
    this.#connection?.close(code, reason)
    this.#enter('closed')
  }

  #connect(onUp: () => void, onFailed: (closed: Closed) => void): void {
    this.#connection = new Connection({
      url: this.#options.url,
      factory: this.#options.factory,
      schedule: this.#options.policy.schedule,
      onOpen: () => {
        this.#options.onUp()
        // The first words may have found the socket broken again.
        if (!this.isUp) return
        this.#enter('open')
        onUp()
      },
      onData: this.#options.onData,
      onClose: (closed) => (closed.opened ? this.#lost(closed) : onFailed(closed))
    })
  }

  #lost(closed: Closed): void {
    if (this.#options.policy.maxAttempts === 0) {
      this.#enter('closed')
      this.#options.onGiveUp(closed)
      return
    }
    const next = this.#options.onDown(closed)
    // Whoever was told may have stopped the stream.
    if (this.#state === 'closed') return
    if (next === 'rest') this.#enter('idle')
    else this.#wait(closed)
  }

  /** Waits before the next attempt, or gives up. */
  #wait(closed: Closed): void {
    if (this.#state === 'closed') return
    const { policy } = this.#options
    if (this.#attempts >= policy.maxAttempts) {
      this.#enter('idle')
      this.#options.onGiveUp(closed)
      return
    }
    this.#stopWaiting = policy.schedule(() => this.#retry(), delayMs(policy, this.#attempts))
    this.#attempts += 1
    this.#enter('reconnecting')
  }

  #retry(): void {
    this.#connect(
      () => undefined,
      (closed) => this.#wait(closed)
    )
  }

  #enter(state: ConnectionState): void {
    if (this.#state === state) return
    this.#state = state
    this.#options.onState(state)
  }
}
