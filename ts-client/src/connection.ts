// One socket from its making to its end. It never connects twice: that is the link's work.
import type { Schedule } from './backoff.js'
import type { ChatSocket, SocketFactory } from './socket.js'

/** A socket that hasn't opened by then never will; browsers alone would wait for minutes. */
const OPEN_TIMEOUT_MS = 15_000

/** The code that a browser reports for a connection that broke. */
export const BROKEN = 1006

/** The code that a browser reports for a close that named none. */
const NO_CODE = 1005

/** Tells the server that the reader is gone, not that the user stopped. */
export const READER_GONE = 4000

/** How a connection ended without being asked to. */
export interface Closed {
  readonly code: number
  readonly reason: string
  /** Whether it had been open. */
  readonly opened: boolean
  readonly cause?: unknown
}

/** Where to connect to, and what to call. */
export interface ConnectionOptions {
  readonly url: string
  readonly factory: SocketFactory
  readonly schedule: Schedule
  readonly onOpen: () => void
  readonly onData: (data: unknown) => void
  /** Called once, unless `close` was called before. */
  readonly onClose: (closed: Closed) => void
}

/** A socket that is connecting, open or over. */
export class Connection {
  readonly #options: ConnectionOptions
  readonly #stopWaiting: () => void
  #socket: ChatSocket | undefined
  #state: 'connecting' | 'open' | 'over' = 'connecting'
  #cause: unknown

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#stopWaiting = options.schedule(() => this.#giveUp(), OPEN_TIMEOUT_MS)
    try {
      const made = options.factory(options.url)
      // A socket that is at hand is listened to at once: it may open before a promise would resolve.
      if ('then' in made)
        made.then(
          (socket) => this.#adopt(socket),
          (cause: unknown) => this.#fail(cause)
        )
      else this.#adopt(made)
    } catch (cause) {
      // The caller hears of it after the constructor has returned.
      queueMicrotask(() => this.#fail(cause))
    }
  }

  /** Whether `send` has a chance. */
  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Sends one frame; a socket that refuses it is over. */
  send(text: string): void {
    if (this.#state !== 'open') return
    try {
      this.#socket?.send(text)
    } catch (cause) {
      this.close(READER_GONE, 'send failed')
      this.#report({ code: BROKEN, reason: '', opened: true, cause })
    }
  }

  /** Ends it without a report; twice is once. */
  close(code: number, reason: string): void {
    if (this.#state === 'over') return
    this.#end()
    if (this.#socket !== undefined) closeSocket(this.#socket, code, reason)
  }

  #adopt(socket: ChatSocket): void {
    if (this.#state === 'over') {
      socket.onerror = () => undefined
      closeSocket(socket, 1000, '')
      return
    }
    this.#socket = socket
    socket.onopen = () => this.#opened()
    socket.onmessage = (event: { readonly data: unknown }) => {
      if (this.#state === 'open') this.#options.onData(event.data)
    }
    // An error after the opening is followed by a close, which knows the code.
    socket.onerror = (event: unknown) => {
      this.#cause = event
      if (this.#state === 'connecting') this.#fail(event)
    }
    socket.onclose = (event: { readonly code?: number; readonly reason?: unknown } | undefined) =>
      this.#closed(event?.code ?? NO_CODE, typeof event?.reason === 'string' ? event.reason : '')
    // Never before the constructor has returned.
    if (socket.readyState === 1) queueMicrotask(() => this.#opened())
  }

  #opened(): void {
    if (this.#state !== 'connecting') return
    this.#state = 'open'
    this.#stopWaiting()
    this.#options.onOpen()
  }

  #closed(code: number, reason: string): void {
    if (this.#state === 'over') return
    const opened = this.#state === 'open'
    this.#end()
    this.#report({ code, reason, opened, cause: this.#cause })
  }

  #fail(cause: unknown): void {
    this.#cause = cause
    this.#closed(BROKEN, '')
  }

  #giveUp(): void {
    if (this.#state !== 'connecting') return
    this.close(READER_GONE, 'opening timed out')
    this.#report({ code: BROKEN, reason: 'opening timed out', opened: false })
  }

  #end(): void {
    this.#state = 'over'
    this.#stopWaiting()
  }

  #report(closed: Closed): void {
    this.#options.onClose(closed)
  }
}

function closeSocket(socket: ChatSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason)
  } catch {
    // A socket that can't be closed is closed already.
  }
}
