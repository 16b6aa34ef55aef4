// The socket interface that this client needs, and how a socket is created by default.

/**
 * The part of a WebSocket that is used: the browser's, that of the package `ws`, and small fakes all fit.
 *
 * The `on…` properties are assigned, never `addEventListener`; `never` lets each socket type its own events.
 */
export interface ChatSocket {
  onopen?: ((event: never) => void) | null
  onmessage?: ((event: never) => void) | null
  onclose?: ((event: never) => void) | null
  onerror?: ((event: never) => void) | null
  /** 1 if the socket is open already when it is returned. */
  readonly readyState?: number
  send(text: string): void
  close(code?: number, reason?: string): void
}

/** Creates a socket that connects to `url`. */
export type SocketFactory = (url: string) => ChatSocket | Promise<ChatSocket>

/** A class of sockets. */
type SocketClass = new (url: string) => ChatSocket

/**
 * Creates the platform's own WebSocket, else one of the optional package `ws` (Node before 22).
 *
 * No subprotocol is requested: browsers fail the connection when an older server doesn't confirm it.
 */
export const platformSocket: SocketFactory = (url) => {
  const platform: { readonly WebSocket?: SocketClass } = globalThis
  return platform.WebSocket === undefined ? socketFromPackage(url) : new platform.WebSocket(url)
}

async function socketFromPackage(url: string): Promise<ChatSocket> {
  // A variable keeps bundlers from following the import into a browser build.
  const packageName: string = 'ws'
  let loaded: { readonly WebSocket: SocketClass }
  try {
    loaded = (await import(/* @vite-ignore */ /* webpackIgnore: true */ packageName)) as typeof loaded
  } catch (cause) {
    throw new Error('There is no WebSocket here: install the package "ws", or pass a socketFactory', {
      cause
    })
  }
  return new loaded.WebSocket(url)
}
