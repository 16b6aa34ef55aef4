// Random simulations: frames are lost, connections are cut, readers lag. Every answer must come whole, once.
import { expect, test } from 'vitest'
import type { ChatEvent } from '../../src/index.js'
import { openStream, type StreamFixture, type FakeSocket, type Sent } from './fake-stream.js'

/** A small generator of random numbers (mulberry32), so that every simulation can be repeated. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

interface LogEntry {
  readonly type: string
  readonly turnId: string
  readonly token?: string
}

const TOKENS_PER_ANSWER = 6

/** A model of the server: one log, turns first in and first out, and a socket as a reader with a cursor. */
class LogServer {
  readonly log: LogEntry[] = []
  readonly #waiting: { readonly turnId: string; left: number }[] = []
  #cursor: number | undefined
  #received = 0

  /** Connects a new socket, which reads nothing until it resumes. */
  connect(): void {
    this.#cursor = undefined
    this.#received = 0
  }

  /** Handles the next frame of a socket. Returns false if there is none. */
  receive(socket: FakeSocket): boolean {
    const frame = socket.sent[this.#received]
    if (frame === undefined) return false
    this.#received += 1
    if (frame['type'] === 'resume') this.#cursor = Number(frame['after'])
    if (frame['type'] === 'message') this.#message(frame)
    return true
  }

  /** Generates one event of the oldest turn. Returns false if there is none. */
  generate(): boolean {
    const turn = this.#waiting[0]
    if (turn === undefined) return false
    turn.left -= 1
    const { turnId } = turn
    if (turn.left > 0) this.log.push({ type: 'token', turnId, token: `${turn.left} ` })
    else this.log.push({ type: 'done', turnId })
    if (turn.left === 0) this.#waiting.shift()
    return true
  }

  /** Sends the next events as one frame: a run of up to `most` tokens is joined. Returns false at the end. */
  send(socket: FakeSocket, conversationId: string, most: number): boolean {
    const start = this.#cursor
    const first = start === undefined ? undefined : this.log[start]
    if (start === undefined || first === undefined) return false
    let end = start + 1
    const joins = (entry: LogEntry | undefined): boolean =>
      entry?.type === 'token' && entry.turnId === first.turnId
    while (first.type === 'token' && end - start < most && joins(this.log[end])) end += 1
    this.#cursor = end
    const token = this.log
      .slice(start, end)
      .map((entry) => entry.token ?? '')
      .join('')
    const own =
      first.type === 'token' ? { token, ...(end - start > 1 ? { firstSeq: start + 1 } : {}) } : { text: '' }
    socket.serverSends({ type: first.type, ...own, turnId: first.turnId, conversationId, seq: end })
    return true
  }

  #message(frame: Sent): void {
    const turnId = String(frame['turnId'])
    const begun = this.log.findIndex((entry) => entry.turnId === turnId)
    // A turn that is joined is read again from its beginning.
    if (begun >= 0) this.#cursor = begun
    else {
      this.#cursor ??= this.log.length
      this.log.push({ type: 'user', turnId })
      this.#waiting.push({ turnId, left: TOKENS_PER_ANSWER })
    }
  }
}

/** Cuts the connection and lets the client reconnect. */
function cut(fixture: StreamFixture, server: LogServer): void {
  fixture.socket.drop(1006)
  reconnect(fixture, server)
}

/** Opens the socket that the client creates next, after it has closed the one before. */
function reconnect(fixture: StreamFixture, server: LogServer): void {
  fixture.clock.tick()
  server.connect()
  fixture.socket.open()
}

async function simulate(seed: number): Promise<void> {
  const random = randomFrom(seed)
  const fixture = await openStream({ conversationId: 'c1', reconnect: { maxAttempts: 1_000_000 } })
  const server = new LogServer()
  const answers: Promise<{ readonly text: string }>[] = []
  const renew = (): void => {
    while (fixture.socket.closedWith !== undefined) reconnect(fixture, server)
  }
  for (let step = 0; step < 120; step += 1) {
    renew()
    const choice = random(20)
    if (choice === 0 && answers.length < 5)
      answers.push(fixture.stream.sendMessage({ message: `${answers.length}` }))
    else if (choice === 1) cut(fixture, server)
    else if (choice === 2 && fixture.events.length > 0)
      server.log.push({ type: 'user', turnId: 'of another reader' })
    else if (choice < 6) server.receive(fixture.socket)
    else if (choice < 13) server.generate()
    else server.send(fixture.socket, 'c1', 1 + random(4))
  }
  for (let isMoving = true; isMoving;) {
    renew()
    isMoving =
      server.receive(fixture.socket) || server.generate() || server.send(fixture.socket, 'c1', 1 + random(4))
    isMoving ||= fixture.socket.closedWith !== undefined
  }
  const open = new Promise<undefined>((resolve) => setImmediate(resolve, undefined))
  const settled = await Promise.race([Promise.all(answers), open])
  if (settled === undefined) throw new Error(`seed ${seed}: a turn never ends`)
  const texts = settled.map((answer) => answer.text)
  expect(texts, `seed ${seed}`).toEqual(answers.map(() => '5 4 3 2 1 '))
  expect(spans(fixture.events), `seed ${seed}`).toEqual(server.log.map((_, index) => index + 1))
  fixture.stream.stop()
}

/** Returns every `seq` that was shown, in order. */
function spans(events: readonly ChatEvent[]): readonly number[] {
  return events.flatMap((event) => {
    const last = event.seq ?? 0
    const first = event.type === 'token' ? (event.firstSeq ?? last) : last
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}

test('with any cuts and losses, every answer comes whole, and every event once and in order', async () => {
  for (let seed = 0; seed < 400; seed += 1) await simulate(seed)
})
