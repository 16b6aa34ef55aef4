// Losing the connection, coming back, and missing nothing.
import { expect, test } from 'vitest'
import { answer, opened, type Bench } from './fake.js'

const turnOf = (bench: Bench, conversationId: string): { turnId: string; conversationId: string } => ({
  turnId: bench.sockets[0]!.turnId(),
  conversationId
})

test('an answer that is cut goes on exactly where it stopped', async () => {
  const states: string[] = []
  const bench = await opened({ conversationId: 'c1', onConnection: (state) => states.push(state) })
  const result = bench.stream.sendMessage({ message: 'x' })
  const frames = answer(turnOf(bench, 'c1'), ['a', 'b', 'c', 'd'])
  bench.socket.says(...frames.slice(0, 4))
  bench.socket.drop(1006)
  expect(bench.clock.delays).toEqual([250])
  bench.clock.tick()
  bench.socket.open()
  expect(bench.socket.sent).toEqual([{ type: 'resume', conversationId: 'c1', after: 4, own: true }])
  bench.socket.says(...frames.slice(4))
  expect(await result).toMatchObject({ text: 'abcd', finishReason: 'stop' })
  expect(bench.events.map((event) => event.seq)).toEqual([1, 2, 3, 4, 5, 6, 7])
  expect(states).toEqual(['open', 'reconnecting', 'open'])
})

test('a message whose fate is unknown is sent again under the same turnId', async () => {
  const bench = await opened()
  const result = bench.stream.sendMessage({ message: 'x' })
  const sent = bench.socket.last
  bench.socket.drop(1006)
  bench.clock.tick()
  bench.socket.open()
  expect(bench.socket.sent).toEqual([sent])
  const turn = { turnId: bench.socket.turnId(), conversationId: bench.stream.conversationId }
  bench.socket.says(...answer(turn, ['ok']))
  expect((await result).text).toBe('ok')
})

test('a message of which the log knows is not sent again', async () => {
  const bench = await opened({ conversationId: 'c1' })
  const first = bench.stream.sendMessage({ message: 'one' })
  const second = bench.stream.sendMessage({ message: 'two' })
  const mine = { turnId: bench.socket.turnId(0), conversationId: 'c1' }
  const next = { turnId: bench.socket.turnId(1), conversationId: 'c1' }
  bench.socket.says(...answer(mine, []).slice(0, 2))
  bench.socket.drop(1001)
  bench.clock.tick()
  bench.socket.open()
  bench.socket.says(
    { type: 'token', token: '1', ...mine, seq: 3 },
    { type: 'user', text: '', ...next, seq: 4 }
  )
  bench.socket.says({ type: 'done', ...mine, seq: 5 }, { type: 'token', token: '2', ...next, seq: 6 })
  bench.socket.says({ type: 'done', ...next, seq: 7 }, { type: 'done', ...next, seq: 7 })
  expect((await first).text).toBe('1')
  expect((await second).text).toBe('2')
  expect(bench.sockets.flatMap((socket) => socket.said)).toEqual(['message', 'message', 'resume'])
})

test('messages of which the log does not know follow one by one, the cancelled one with its cancel', async () => {
  const bench = await opened({ conversationId: 'c1' })
  const first = bench.stream.sendMessage({ message: 'one' })
  const second = bench.stream.sendMessage({ message: 'two' })
  const [turnId, nextId] = [bench.socket.turnId(0), bench.socket.turnId(1)]
  const one = answer({ turnId, conversationId: 'c1' }, ['1'])
  bench.socket.says(...one.slice(0, 2))
  bench.socket.drop(1006)
  bench.stream.cancel(nextId)
  bench.clock.tick()
  bench.socket.open()
  void bench.stream.sendMessage({ message: 'three' })
  expect(bench.socket.said).toEqual(['resume'])
  bench.socket.says(...one.slice(2))
  expect((await first).text).toBe('1')
  expect(bench.socket.sent.slice(1)).toMatchObject([
    { type: 'message', message: 'two', turnId: nextId },
    { type: 'cancel', turnId: nextId }
  ])
  bench.socket.says({ type: 'done', finishReason: 'cancelled', turnId: nextId, conversationId: 'c1', seq: 5 })
  expect(await second).toMatchObject({ finishReason: 'cancelled' })
  expect(bench.socket.last).toMatchObject({ message: 'three' })
})

test('a message that is refused after a return does not harm the turn that runs', async () => {
  const bench = await opened({ conversationId: 'c1' })
  const good = bench.stream.sendMessage({ message: 'good' })
  const bad = bench.stream.sendMessage({ message: 'bad', conversationId: 'c2' })
  const frames = answer(turnOf(bench, 'c1'), ['a', 'b'])
  bench.socket.says(...frames.slice(0, 3))
  bench.socket.drop(1006)
  bench.clock.tick()
  bench.socket.open()
  expect(bench.socket.said).toEqual(['resume', 'message'])
  const turnId = bench.sockets[0]!.turnId(1)
  bench.socket.says({ type: 'error', code: 'agent_not_found', message: 'no', retryable: false, turnId })
  bench.socket.drop(4404, 'no')
  await expect(bad).rejects.toMatchObject({ code: 'agent_not_found' })
  bench.clock.tick()
  bench.socket.open()
  bench.socket.says(...frames.slice(3))
  expect((await good).text).toBe('ab')
})

test('messages sent while there is no connection go out with the next one', async () => {
  const bench = await opened({ conversationId: 'c1' })
  bench.socket.drop(1006)
  const dropped = bench.stream.sendMessage({ message: 'dropped' })
  bench.stream.cancel()
  expect(await dropped).toMatchObject({ finishReason: 'cancelled', text: '' })
  const kept = bench.stream.sendMessage({ message: 'kept' })
  bench.clock.tick()
  bench.socket.open()
  expect(bench.socket.sent).toMatchObject([{ type: 'message', message: 'kept' }])
  bench.socket.says({ type: 'token', token: 'x' }, { type: 'done' })
  expect((await kept).text).toBe('x')
})

test('a cancel that may not have arrived is said again', async () => {
  const bench = await opened({ conversationId: 'c1' })
  void bench.stream.sendMessage({ message: 'x' })
  const { turnId } = turnOf(bench, 'c1')
  bench.socket.says(...answer({ turnId, conversationId: 'c1' }, ['a', 'b']).slice(0, 3))
  bench.socket.drop(1006)
  bench.stream.cancel(turnId)
  bench.clock.tick()
  bench.socket.open()
  expect(bench.socket.sent).toEqual([
    { type: 'resume', conversationId: 'c1', after: 3, own: true },
    { type: 'cancel', turnId, conversationId: 'c1' }
  ])
})

test('delays double up to their bound, and a word from the server forgives them', async () => {
  const bench = await opened({ conversationId: 'c1', reconnect: { maxDelayMs: 1000 } })
  const result = bench.stream.sendMessage({ message: 'x' })
  const frames = answer(turnOf(bench, 'c1'), ['a', 'b'])
  bench.socket.says(frames[0]!)
  bench.socket.drop(1006)
  const delays: number[] = []
  for (let attempt = 0; attempt < 4; attempt += 1) {
    delays.push(...bench.clock.delays)
    bench.clock.tick()
    bench.socket.drop(1006)
  }
  expect(delays).toEqual([250, 500, 1000, 1000])
  bench.clock.tick()
  bench.socket.open().says(frames[1]!)
  bench.socket.drop(1006)
  expect(bench.clock.delays).toEqual([250])
  bench.clock.tick()
  bench.socket.open().says(...frames.slice(2))
  expect((await result).text).toBe('ab')
})

test('half of each delay is random', async () => {
  const bench = await opened({ reconnect: { random: () => 0, initialDelayMs: 800 } })
  bench.socket.drop(1006)
  expect(bench.clock.delays).toEqual([400])
})

test('when no attempt is left, open promises reject and the next message tries afresh', async () => {
  const bench = await opened({ reconnect: { maxAttempts: 2 } })
  const result = bench.stream.sendMessage({ message: 'x' })
  bench.socket.drop(1006)
  for (let attempt = 0; attempt < 2; attempt += 1) {
    bench.clock.tick()
    bench.socket.drop(1006)
  }
  await expect(result).rejects.toMatchObject({ code: 'interrupted', retryable: true })
  expect(bench.events).toMatchObject([
    { type: 'error', code: 'interrupted', turnId: bench.sockets[0]!.turnId() }
  ])
  expect(bench.clock.delays).toEqual([])
  void bench.stream.sendMessage({ message: 'again' })
  expect(bench.sockets).toHaveLength(4)
  bench.socket.open()
  expect(bench.socket.last).toMatchObject({ message: 'again' })
})

test('reconnect: false leaves a lost connection lost', async () => {
  const bench = await opened({ reconnect: false })
  const result = bench.stream.sendMessage({ message: 'x' })
  bench.socket.drop(1006)
  await expect(result).rejects.toMatchObject({ code: 'interrupted' })
  expect(bench.sockets).toHaveLength(1)
  expect(() => bench.stream.sendMessage({ message: 'y' })).toThrow(
    'Cannot send message: socket already closed'
  )
})

test('a server that numbers nothing can not resume: the turn is interrupted, not asked twice', async () => {
  const bench = await opened()
  const result = bench.stream.sendMessage({ message: 'x' })
  bench.socket.says({ type: 'token', token: 'a' })
  bench.socket.drop(1006)
  await expect(result).rejects.toMatchObject({ code: 'interrupted', retryable: true })
  bench.clock.tick()
  bench.socket.open()
  expect(bench.socket.sent).toEqual([])
})

test.each([
  [4400, 'invalid_request'],
  [4401, 'unauthorised'],
  [4404, 'agent_not_found'],
  [1009, 'too_large']
])('a first frame refused with %i rejects as %s and is not repeated', async (closeCode, code) => {
  const bench = await opened()
  const result = bench.stream.sendMessage({ message: 'x' })
  bench.socket.drop(closeCode, 'no')
  await expect(result).rejects.toMatchObject({ code, message: 'no', retryable: false })
  expect(bench.clock.delays).toEqual([])
  void bench.stream.sendMessage({ message: 'better' })
  bench.socket.open()
  expect(bench.socket.sent).toMatchObject([{ message: 'better' }])
})

test('a frame that is too large does not harm the turn that runs beside it', async () => {
  const bench = await opened({ conversationId: 'c1' })
  const good = bench.stream.sendMessage({ message: 'x' })
  const frames = answer(turnOf(bench, 'c1'), ['a', 'b'])
  bench.socket.says(...frames.slice(0, 3))
  const large = bench.stream.sendMessage({ message: 'large' })
  bench.socket.drop(1009)
  await expect(large).rejects.toMatchObject({ code: 'too_large' })
  bench.clock.tick()
  bench.socket.open()
  expect(bench.socket.said).toEqual(['resume'])
  bench.socket.says(...frames.slice(3))
  expect((await good).text).toBe('ab')
})

test.each([4408, 1000, undefined])(
  'an idle stream closed with %s rests until the next message',
  async (closeCode) => {
    const states: string[] = []
    const bench = await opened({ onConnection: (state) => states.push(state) })
    bench.socket.drop(closeCode)
    expect(bench.clock.delays).toEqual([])
    const result = bench.stream.sendMessage({ message: 'x' })
    expect(bench.sockets).toHaveLength(2)
    bench.socket.open()
    bench.socket.says({ type: 'done' })
    expect(await result).toMatchObject({ finishReason: 'stop' })
    expect(states).toEqual(['open', 'idle', 'reconnecting', 'open'])
  }
)

test('an idle stream comes back by itself and reads on, without taking over what others run', async () => {
  const bench = await opened({ conversationId: 'c1' })
  const result = bench.stream.sendMessage({ message: 'x' })
  bench.socket.says(...answer(turnOf(bench, 'c1'), ['a']))
  await result
  bench.socket.drop(1006)
  bench.clock.tick()
  bench.socket.open()
  expect(bench.socket.sent).toEqual([{ type: 'resume', conversationId: 'c1', after: 4 }])
})

test('a socket that refuses a frame is replaced, and the frame is sent on the next', async () => {
  const bench = await opened()
  bench.socket.refusesToSend = true
  void bench.stream.sendMessage({ message: 'x' })
  bench.clock.tick()
  bench.socket.open()
  expect(bench.socket.sent).toMatchObject([{ message: 'x' }])
})

test('the key comes first on every connection', async () => {
  const bench = await opened({ apiKey: 'secret', conversationId: 'c1' })
  void bench.stream.sendMessage({ message: 'x' })
  bench.socket.says(...answer(turnOf(bench, 'c1'), []).slice(0, 1))
  bench.socket.drop(1006)
  bench.clock.tick()
  bench.socket.open()
  expect(bench.socket.sent).toEqual([
    { type: 'resume', conversationId: 'c1', after: 1, own: true, apiKey: 'secret' }
  ])
})

test('a connection that went silent is asked for a sign of life, and replaced when none comes', async () => {
  const bench = await opened({ conversationId: 'c1' })
  const result = bench.stream.sendMessage({ message: 'x' })
  const frames = answer(turnOf(bench, 'c1'), ['a', 'b'])
  bench.socket.says(...frames.slice(0, 3))
  bench.clock.tick()
  bench.clock.tick()
  expect(bench.socket.said).toEqual(['message', 'ping'])
  bench.socket.says({ type: 'pong' })
  for (let period = 0; period < 3; period += 1) bench.clock.tick()
  expect(bench.sockets[0]!.closedWith).toEqual({ code: 4000 })
  bench.clock.tick()
  bench.socket.open()
  expect(bench.socket.sent).toEqual([{ type: 'resume', conversationId: 'c1', after: 3, own: true }])
  bench.socket.says(...frames.slice(3))
  expect((await result).text).toBe('ab')
})

test('nobody is asked for a sign of life while nothing is waited for', async () => {
  const bench = await opened()
  for (let period = 0; period < 9; period += 1) bench.clock.tick()
  expect(bench.socket.sent).toEqual([])
  expect(bench.sockets).toHaveLength(1)
})
