// A bare socket, as a client in another language would have: frames out, frames in, and the close code.
import { WebSocket } from 'ws'

/** A frame that was received. */
export type ReceivedFrame = Readonly<Record<string, unknown>> & { readonly type: string }

/** How long a slow machine may take to send its next frame. */
const RECEIVE_TIMEOUT_MS = 60_000

/** One socket. */
export class Peer {
  readonly #socket: WebSocket
  readonly #frames: ReceivedFrame[] = []
  /** Resolves with the code that it was closed with. */
  readonly closed: Promise<number>
  #wake: (() => void) | undefined
  #isClosed = false

  private constructor(socket: WebSocket) {
    this.#socket = socket
    socket.on('message', (data: Buffer) => {
      this.#frames.push(JSON.parse(data.toString()) as ReceivedFrame)
      this.#wake?.()
    })
    this.closed = new Promise((resolve) =>
      socket.on('close', (code) => {
        this.#isClosed = true
        this.#wake?.()
        resolve(code)
      })
    )
  }

  /** Opens a socket and sends these frames. */
  static async open(url: string, ...frames: readonly (object | string)[]): Promise<Peer> {
    const socket = new WebSocket(url)
    const peer = new Peer(socket)
    await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject))
    for (const frame of frames) peer.send(frame)
    return peer
  }

  /** Sends one frame; a string is sent as it is. */
  send(frame: object | string): void {
    this.#socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  }

  /** Receives the next frame. */
  async receive(): Promise<ReceivedFrame> {
    const frame = this.#frames.shift()
    if (frame !== undefined) return frame
    if (this.#isClosed) throw new Error('the socket was closed')
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('no frame was received')), RECEIVE_TIMEOUT_MS)
      this.#wake = () => {
        clearTimeout(late)
        resolve()
      }
    })
    this.#wake = undefined
    return this.receive()
  }

  /** Receives frames up to and including the next one of this type. */
  async until(type: string): Promise<readonly ReceivedFrame[]> {
    const received: ReceivedFrame[] = []
    for (;;) {
      const frame = await this.receive()
      received.push(frame)
      if (frame.type === type) return received
    }
  }

  /** Closes the socket, with this code or without any. */
  close(code?: number): void {
    this.#socket.close(code)
  }
}

/**
 * Returns the types of frames in order, separated by spaces, with runs of tokens shown once: `user started
 * token done`.
 */
export function kinds(frames: readonly ReceivedFrame[]): string {
  const types = frames.map((frame) => frame.type)
  return types.filter((type, index) => type !== 'token' || types[index - 1] !== 'token').join(' ')
}

/** Joins the tokens of frames. */
export function textOf(frames: readonly ReceivedFrame[]): string {
  return frames.map((frame) => (frame.type === 'token' ? String(frame['token']) : '')).join('')
}
