// Hundreds of made-up days: frames are lost, connections are cut, readers lag. Every answer must come whole, once.
import { expect, test } from 'vitest'
import type { ChatEvent } from '../../src/index.js'
import { opened, type Bench, type FakeSocket, type Sent } from './fake.js'

/** A small generator of random numbers (mulberry32), so that every day can be lived again. */
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

/** The protocol's server: one log, turns first in and first out, and a socket as a reader with a cursor. */
class LogServer {
  readonly log: LogEntry[] = []
  readonly #waiting: { readonly turnId: string; left: number }[] = []
  #cursor: number | undefined
  #heard = 0

  /** A new socket reads nothing until it is told to. */
  connect(): void {
    this.#cursor = undefined
    this.#heard = 0
  }

  /** Obeys the next frame of a socket. Returns false when there is none. */
  hear(socket: FakeSocket): boolean {
    const frame = socket.sent[this.#heard]
    if (frame === undefined) return false
    this.#heard += 1
    if (frame['type'] === 'resume') this.#cursor = Number(frame['after'])
    if (frame['type'] === 'message') this.#message(frame)
    return true
  }

  /** Makes one event of the oldest turn. Returns false when there is none. */
  work(): boolean {
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
  say(socket: FakeSocket, conversationId: string, most: number): boolean {
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
    socket.says({ type: first.type, ...own, turnId: first.turnId, conversationId, seq: end })
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

/** Cuts the connection and lets the client come back. */
function cut(bench: Bench, server: LogServer): void {
  bench.socket.drop(1006)
  comeBack(bench, server)
}

/** Opens the socket that the client makes next, if it has left the one before. */
function comeBack(bench: Bench, server: LogServer): void {
  bench.clock.tick()
  server.connect()
  bench.socket.open()
}

async function live(seed: number): Promise<void> {
  const random = randomFrom(seed)
  const bench = await opened({ conversationId: 'c1', reconnect: { maxAttempts: 1_000_000 } })
  const server = new LogServer()
  const answers: Promise<{ readonly text: string }>[] = []
  const renew = (): void => {
    while (bench.socket.closedWith !== undefined) comeBack(bench, server)
  }
  for (let step = 0; step < 120; step += 1) {
    renew()
    const choice = random(20)
    if (choice === 0 && answers.length < 5)
      answers.push(bench.stream.sendMessage({ message: `${answers.length}` }))
    else if (choice === 1) cut(bench, server)
    else if (choice === 2 && bench.events.length > 0)
      server.log.push({ type: 'user', turnId: 'of another reader' })
    else if (choice < 6) server.hear(bench.socket)
    else if (choice < 13) server.work()
    else server.say(bench.socket, 'c1', 1 + random(4))
  }
  for (let isMoving = true; isMoving;) {
    renew()
    isMoving = server.hear(bench.socket) || server.work() || server.say(bench.socket, 'c1', 1 + random(4))
    isMoving ||= bench.socket.closedWith !== undefined
  }
  const open = new Promise<undefined>((resolve) => setImmediate(resolve, undefined))
  const settled = await Promise.race([Promise.all(answers), open])
  if (settled === undefined) throw new Error(`seed ${seed}: a turn never ends`)
  const texts = settled.map((answer) => answer.text)
  expect(texts, `seed ${seed}`).toEqual(answers.map(() => '5 4 3 2 1 '))
  expect(spans(bench.events), `seed ${seed}`).toEqual(server.log.map((_, index) => index + 1))
  bench.stream.stop()
}

/** Every `seq` that was shown, in order. */
function spans(events: readonly ChatEvent[]): readonly number[] {
  return events.flatMap((event) => {
    const last = event.seq ?? 0
    const first = event.type === 'token' ? (event.firstSeq ?? last) : last
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}

test('whatever is cut and lost, every answer comes whole, and every event once and in order', async () => {
  for (let seed = 0; seed < 400; seed += 1) await live(seed)
})
