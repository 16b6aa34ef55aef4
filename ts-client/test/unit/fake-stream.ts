// A fake socket with the server's side of it, a fake clock, and a stream over both.
import { streamChat, type ChatEvent, type ChatStream, type StreamChatOptions } from '../../src/index.js'

/** A frame that the client sent, parsed. */
export type Sent = Readonly<Record<string, unknown>>

/** The smallest possible socket: four properties and two functions. */
export class FakeSocket {
  onopen: ((event: unknown) => void) | null = null
  onmessage: ((event: { readonly data: unknown }) => void) | null = null
  onclose: ((event?: { readonly code?: number; readonly reason?: string }) => void) | null = null
  onerror: ((event: unknown) => void) | null = null
  readonly sent: Sent[] = []
  closedWith: { readonly code: number | undefined } | undefined
  refusesToSend = false

  send(text: string): void {
    if (this.refusesToSend) throw new Error('not now')
    this.sent.push(JSON.parse(text) as Sent)
  }

  close(code?: number): void {
    this.closedWith ??= { code }
  }

  /** The server accepts the connection. */
  open(): this {
    this.onopen?.({})
    return this
  }

  /** The server sends frames. */
  serverSends(...frames: readonly object[]): void {
    for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) })
  }

  /** The server closes the connection, or the network does. */
  drop(code?: number, reason = ''): void {
    this.onclose?.(code === undefined ? undefined : { code, reason })
  }

  /** The frame that was sent last. */
  get last(): Sent {
    const frame = this.sent.at(-1)
    if (frame === undefined) throw new Error('nothing was sent')
    return frame
  }

  /** The types of the frames that were sent, in order. */
  get sentTypes(): readonly unknown[] {
    return this.sent.map((frame) => frame['type'])
  }

  /** Returns the id of the turn that the `index`-th message frame started. */
  turnId(index = 0): string {
    return String(this.sent.filter((frame) => frame['type'] === 'message')[index]?.['turnId'])
  }
}

/** A clock whose timers run when the test says so. */
export class FakeClock {
  #timers: { readonly callback: () => void; readonly delayMs: number }[] = []

  readonly schedule = (callback: () => void, delayMs: number): (() => void) => {
    const timer = { callback, delayMs }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /** The delays of the pending timers. */
  get delays(): readonly number[] {
    return this.#timers.map((timer) => timer.delayMs)
  }

  /** Runs the timer that is due first. */
  tick(): void {
    const next = this.#timers.toSorted((a, b) => a.delayMs - b.delayMs)[0]
    if (next === undefined) throw new Error('no timer is set')
    this.#timers = this.#timers.filter((other) => other !== next)
    next.callback()
  }
}

/** A stream under test, its sockets and clock, and what it has received. */
export interface StreamFixture {
  readonly sockets: readonly FakeSocket[]
  readonly clock: FakeClock
  readonly events: ChatEvent[]
  readonly unknown: unknown[]
  readonly opening: Promise<ChatStream>
  /** The newest socket. */
  readonly socket: FakeSocket
}

/** Starts a stream over fake sockets; the first one is still connecting. */
export function startStream(options: Partial<StreamChatOptions> = {}): StreamFixture {
  const sockets: FakeSocket[] = []
  const clock = new FakeClock()
  const events: ChatEvent[] = []
  const unknown: unknown[] = []
  const reconnect = options.reconnect
  const opening = streamChat({
    backendUrl: 'ws://localhost:8000/ws/chat',
    agentId: 'planner',
    onEvent: (event) => events.push(event),
    onUnknownEvent: (frame) => unknown.push(frame),
    socketFactory: () => {
      const socket = new FakeSocket()
      sockets.push(socket)
      return socket
    },
    ...options,
    // `random` of 1 makes each delay its bound.
    reconnect: reconnect === false ? false : { random: () => 1, schedule: clock.schedule, ...reconnect }
  })
  return {
    sockets,
    clock,
    events,
    unknown,
    opening,
    get socket() {
      return sockets.at(-1)!
    }
  }
}

/** Starts a stream whose first socket is open. */
export async function openStream(
  options: Partial<StreamChatOptions> = {}
): Promise<StreamFixture & { readonly stream: ChatStream }> {
  const fixture = startStream(options)
  fixture.socket.open()
  const stream = await fixture.opening
  return Object.defineProperties({ stream }, Object.getOwnPropertyDescriptors(fixture)) as StreamFixture & {
    readonly stream: ChatStream
  }
}

/** Returns the frames of a whole turn, numbered from `seq`. */
export function answer(
  turn: { readonly turnId: string; readonly conversationId: string },
  tokens: readonly string[],
  seq = 1
): readonly object[] {
  const frames = [
    { type: 'user', text: '…', agentId: 'planner' },
    { type: 'started', model: 'm', promptTokens: 1, cachedTokens: 0, windowTokens: 2048 },
    ...tokens.map((token) => ({ type: 'token', token })),
    { type: 'done', finishReason: 'stop' }
  ]
  return frames.map((frame, index) => ({ ...frame, ...turn, seq: seq + index }))
}
