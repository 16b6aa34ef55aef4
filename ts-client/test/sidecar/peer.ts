// A bare socket, as a client in another language has it: frames out, frames in, and the code that it was closed with.
import { WebSocket } from 'ws'

/** A frame that was heard. */
export type Heard = Readonly<Record<string, unknown>> & { readonly type: string }

/** Until a slow machine has said its next frame. */
const HEAR_MS = 60_000

/** One socket. */
export class Peer {
  readonly #socket: WebSocket
  readonly #frames: Heard[] = []
  /** The code that it was closed with. */
  readonly closed: Promise<number>
  #wake: (() => void) | undefined
  #isClosed = false

  private constructor(socket: WebSocket) {
    this.#socket = socket
    socket.on('message', (data: Buffer) => {
      this.#frames.push(JSON.parse(data.toString()) as Heard)
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

  /** Opens one, and says these frames. */
  static async open(url: string, ...frames: readonly (object | string)[]): Promise<Peer> {
    const socket = new WebSocket(url)
    const peer = new Peer(socket)
    await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject))
    for (const frame of frames) peer.say(frame)
    return peer
  }

  /** Says one frame; a text as it is. */
  say(frame: object | string): void {
    this.#socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  }

  /** The next frame. */
  async hear(): Promise<Heard> {
    const frame = this.#frames.shift()
    if (frame !== undefined) return frame
    if (this.#isClosed) throw new Error('the socket was closed')
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('nothing was said')), HEAR_MS)
      this.#wake = () => {
        clearTimeout(late)
        resolve()
      }
    })
    this.#wake = undefined
    return this.hear()
  }

  /** Everything up to the next frame of this type, which is the last. */
  async until(type: string): Promise<readonly Heard[]> {
    const heard: Heard[] = []
    for (;;) {
      const frame = await this.hear()
      heard.push(frame)
      if (frame.type === type) return heard
    }
  }

  /** Says goodbye, with this code or without any. */
  close(code?: number): void {
    this.#socket.close(code)
  }
}

/** The kinds of some frames, in order; tokens in a row count once. */
export function kinds(frames: readonly Heard[]): string {
  const types = frames.map((frame) => frame.type)
  return types.filter((type, index) => type !== 'token' || types[index - 1] !== 'token').join(' ')
}

/** The answer in some frames. */
export function textOf(frames: readonly Heard[]): string {
  return frames.map((frame) => (frame.type === 'token' ? String(frame['token']) : '')).join('')
}
