// The package `ws`, which the host may not have installed: loaded late, with an error that names it.
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/** The part of a server-side socket of `ws` that is used. */
export interface PeerSocket {
  send(text: string): void
  close(code?: number, reason?: string): void
  on(event: 'message', listener: (data: { toString(): string }, isBinary: boolean) => void): unknown
  on(event: 'close', listener: (code: number) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
}

/** The part of a `ws` server that is used. */
export interface PeerServer {
  handleUpgrade(
    request: IncomingMessage,
    stream: Duplex,
    head: Uint8Array,
    done: (socket: PeerSocket) => void
  ): void
}

/** The options of that server. */
interface PeerServerOptions {
  readonly noServer: true
  readonly maxPayload: number
  readonly handleProtocols: (offered: Set<string>) => string | false
}

interface WsPackage {
  readonly WebSocketServer: new (options: PeerServerOptions) => PeerServer
}

/** The subprotocol that is offered and never required. */
const SUBPROTOCOL = 'sidecar.v1'

/** Creates a server that upgrades connections which another server has accepted. */
export async function peerServer(
  maxPayload: number,
  load: (name: string) => Promise<unknown> = (name) => import(name)
): Promise<PeerServer> {
  let loaded: WsPackage
  try {
    loaded = (await load('ws')) as WsPackage
  } catch (cause) {
    throw new Error('streaming-llm-client/testing needs the package "ws": npm install --save-dev ws', {
      cause
    })
  }
  return new loaded.WebSocketServer({
    noServer: true,
    maxPayload,
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false)
  })
}
