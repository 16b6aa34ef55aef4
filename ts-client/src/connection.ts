// One socket, from its creation to its end. It never reconnects: `ReconnectingSocket` does.
import type { Schedule } from './backoff.js'
import type { ChatSocket, SocketFactory } from './socket.js'

/** How long a socket may take to open; browsers alone would wait for minutes. */
const OPEN_TIMEOUT_MS = 15_000

/** The close code that a browser reports for a connection that broke. */
export const BROKEN = 1006

/** The close code that a browser reports for a close without a code. */
const NO_CODE = 1005

/** The close code that tells the server that the reader is gone, not that the user stopped. */
export const READER_GONE = 4000

/** How a connection ended, unless `close` was called. */
export interface CloseInfo {
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
  readonly onClose: (closed: CloseInfo) => void
}

/** A socket that is connecting, open or closed. */
export class Connection {
  readonly #options: ConnectionOptions
  readonly #cancelOpenTimeout: () => void
  #socket: ChatSocket | undefined
  #state: 'connecting' | 'open' | 'closed' = 'connecting'
  #cause: unknown

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#cancelOpenTimeout = options.schedule(() => this.#onOpenTimeout(), OPEN_TIMEOUT_MS)
    try {
      const created = options.factory(options.url)
      // Attaches the handlers at once if it can: the socket may open before a promise would resolve.
      if ('then' in created)
        created.then(
          (socket) => this.#adopt(socket),
          (cause: unknown) => this.#fail(cause)
        )
      else this.#adopt(created)
    } catch (cause) {
      // Reported only after the constructor has returned.
      queueMicrotask(() => this.#fail(cause))
    }
  }

  /** Whether frames can be sent. */
  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Sends one frame. If the socket throws, the connection is reported as broken. */
  send(text: string): void {
    if (this.#state !== 'open') return
    try {
      this.#socket?.send(text)
    } catch (cause) {
      this.close(READER_GONE, 'send failed')
      this.#report({ code: BROKEN, reason: '', opened: true, cause })
    }
  }

  /** Closes the socket without calling `onClose`; further calls do nothing. */
  close(code: number, reason: string): void {
    if (this.#state === 'closed') return
    this.#finish()
    if (this.#socket !== undefined) closeSocket(this.#socket, code, reason)
  }

  #adopt(socket: ChatSocket): void {
    if (this.#state === 'closed') {
      socket.onerror = () => undefined
      closeSocket(socket, 1000, '')
      return
    }
    this.#socket = socket
    socket.onopen = () => this.#onOpen()
    socket.onmessage = (event: { readonly data: unknown }) => {
      if (this.#state === 'open') this.#options.onData(event.data)
    }
    // An error of an open socket is followed by a close, which has the code.
    socket.onerror = (event: unknown) => {
      this.#cause = event
      if (this.#state === 'connecting') this.#fail(event)
    }
    socket.onclose = (event: { readonly code?: number; readonly reason?: unknown } | undefined) =>
      this.#onClose(event?.code ?? NO_CODE, typeof event?.reason === 'string' ? event.reason : '')
    // Never before the constructor has returned.
    if (socket.readyState === 1) queueMicrotask(() => this.#onOpen())
  }

  #onOpen(): void {
    if (this.#state !== 'connecting') return
    this.#state = 'open'
    this.#cancelOpenTimeout()
    this.#options.onOpen()
  }

  #onClose(code: number, reason: string): void {
    if (this.#state === 'closed') return
    const opened = this.#state === 'open'
    this.#finish()
    this.#report({ code, reason, opened, cause: this.#cause })
  }

  #fail(cause: unknown): void {
    this.#cause = cause
    this.#onClose(BROKEN, '')
  }

  #onOpenTimeout(): void {
    if (this.#state !== 'connecting') return
    this.close(READER_GONE, 'opening timed out')
    this.#report({ code: BROKEN, reason: 'opening timed out', opened: false })
  }

  #finish(): void {
    this.#state = 'closed'
    this.#cancelOpenTimeout()
  }

  #report(closed: CloseInfo): void {
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
