// Losing the connection, reconnecting, and missing nothing.
import { expect, test } from 'vitest'
import { answer, openStream, type StreamFixture } from './fake-stream.js'

const turnOf = (
  fixture: StreamFixture,
  conversationId: string
): { turnId: string; conversationId: string } => ({
  turnId: fixture.sockets[0]!.turnId(),
  conversationId
})

test('an answer that is cut resumes exactly where it stopped', async () => {
  const states: string[] = []
  const fixture = await openStream({ conversationId: 'c1', onConnection: (state) => states.push(state) })
  const result = fixture.stream.sendMessage({ message: 'x' })
  const frames = answer(turnOf(fixture, 'c1'), ['a', 'b', 'c', 'd'])
  fixture.socket.serverSends(...frames.slice(0, 4))
  fixture.socket.drop(1006)
  expect(fixture.clock.delays).toEqual([250])
  fixture.clock.tick()
  fixture.socket.open()
  expect(fixture.socket.sent).toEqual([{ type: 'resume', conversationId: 'c1', after: 4, own: true }])
  fixture.socket.serverSends(...frames.slice(4))
  expect(await result).toMatchObject({ text: 'abcd', finishReason: 'stop' })
  expect(fixture.events.map((event) => event.seq)).toEqual([1, 2, 3, 4, 5, 6, 7])
  expect(states).toEqual(['open', 'reconnecting', 'open'])
})

test('a message whose fate is unknown is sent again under the same turnId', async () => {
  const fixture = await openStream()
  const result = fixture.stream.sendMessage({ message: 'x' })
  const sent = fixture.socket.last
  fixture.socket.drop(1006)
  fixture.clock.tick()
  fixture.socket.open()
  expect(fixture.socket.sent).toEqual([sent])
  const turn = { turnId: fixture.socket.turnId(), conversationId: fixture.stream.conversationId }
  fixture.socket.serverSends(...answer(turn, ['ok']))
  expect((await result).text).toBe('ok')
})

test('a message of which the log knows is not sent again', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  const first = fixture.stream.sendMessage({ message: 'one' })
  const second = fixture.stream.sendMessage({ message: 'two' })
  const mine = { turnId: fixture.socket.turnId(0), conversationId: 'c1' }
  const next = { turnId: fixture.socket.turnId(1), conversationId: 'c1' }
  fixture.socket.serverSends(...answer(mine, []).slice(0, 2))
  fixture.socket.drop(1001)
  fixture.clock.tick()
  fixture.socket.open()
  fixture.socket.serverSends(
    { type: 'token', token: '1', ...mine, seq: 3 },
    { type: 'user', text: '', ...next, seq: 4 }
  )
  fixture.socket.serverSends(
    { type: 'done', ...mine, seq: 5 },
    { type: 'token', token: '2', ...next, seq: 6 }
  )
  fixture.socket.serverSends({ type: 'done', ...next, seq: 7 }, { type: 'done', ...next, seq: 7 })
  expect((await first).text).toBe('1')
  expect((await second).text).toBe('2')
  expect(fixture.sockets.flatMap((socket) => socket.sentTypes)).toEqual(['message', 'message', 'resume'])
})

test('messages of which the log does not know follow one by one, the cancelled one with its cancel', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  const first = fixture.stream.sendMessage({ message: 'one' })
  const second = fixture.stream.sendMessage({ message: 'two' })
  const [turnId, nextId] = [fixture.socket.turnId(0), fixture.socket.turnId(1)]
  const one = answer({ turnId, conversationId: 'c1' }, ['1'])
  fixture.socket.serverSends(...one.slice(0, 2))
  fixture.socket.drop(1006)
  fixture.stream.cancel(nextId)
  fixture.clock.tick()
  fixture.socket.open()
  void fixture.stream.sendMessage({ message: 'three' })
  expect(fixture.socket.sentTypes).toEqual(['resume'])
  fixture.socket.serverSends(...one.slice(2))
  expect((await first).text).toBe('1')
  expect(fixture.socket.sent.slice(1)).toMatchObject([
    { type: 'message', message: 'two', turnId: nextId },
    { type: 'cancel', turnId: nextId }
  ])
  fixture.socket.serverSends({
    type: 'done',
    finishReason: 'cancelled',
    turnId: nextId,
    conversationId: 'c1',
    seq: 5
  })
  expect(await second).toMatchObject({ finishReason: 'cancelled' })
  expect(fixture.socket.last).toMatchObject({ message: 'three' })
})

test('a message that is refused after a return does not harm the turn that runs', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  const good = fixture.stream.sendMessage({ message: 'good' })
  const bad = fixture.stream.sendMessage({ message: 'bad', conversationId: 'c2' })
  const frames = answer(turnOf(fixture, 'c1'), ['a', 'b'])
  fixture.socket.serverSends(...frames.slice(0, 3))
  fixture.socket.drop(1006)
  fixture.clock.tick()
  fixture.socket.open()
  expect(fixture.socket.sentTypes).toEqual(['resume', 'message'])
  const turnId = fixture.sockets[0]!.turnId(1)
  fixture.socket.serverSends({
    type: 'error',
    code: 'agent_not_found',
    message: 'no',
    retryable: false,
    turnId
  })
  fixture.socket.drop(4404, 'no')
  await expect(bad).rejects.toMatchObject({ code: 'agent_not_found' })
  fixture.clock.tick()
  fixture.socket.open()
  fixture.socket.serverSends(...frames.slice(3))
  expect((await good).text).toBe('ab')
})

test('messages sent while there is no connection go out with the next one', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  fixture.socket.drop(1006)
  const dropped = fixture.stream.sendMessage({ message: 'dropped' })
  fixture.stream.cancel()
  expect(await dropped).toMatchObject({ finishReason: 'cancelled', text: '' })
  const kept = fixture.stream.sendMessage({ message: 'kept' })
  fixture.clock.tick()
  fixture.socket.open()
  expect(fixture.socket.sent).toMatchObject([{ type: 'message', message: 'kept' }])
  fixture.socket.serverSends({ type: 'token', token: 'x' }, { type: 'done' })
  expect((await kept).text).toBe('x')
})

test('a cancel that may not have arrived is sent again', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  void fixture.stream.sendMessage({ message: 'x' })
  const { turnId } = turnOf(fixture, 'c1')
  fixture.socket.serverSends(...answer({ turnId, conversationId: 'c1' }, ['a', 'b']).slice(0, 3))
  fixture.socket.drop(1006)
  fixture.stream.cancel(turnId)
  fixture.clock.tick()
  fixture.socket.open()
  expect(fixture.socket.sent).toEqual([
    { type: 'resume', conversationId: 'c1', after: 3, own: true },
    { type: 'cancel', turnId, conversationId: 'c1' }
  ])
})

test('delays double up to their bound, and a frame from the server resets them', async () => {
  const fixture = await openStream({ conversationId: 'c1', reconnect: { maxDelayMs: 1000 } })
  const result = fixture.stream.sendMessage({ message: 'x' })
  const frames = answer(turnOf(fixture, 'c1'), ['a', 'b'])
  fixture.socket.serverSends(frames[0]!)
  fixture.socket.drop(1006)
  const delays: number[] = []
  for (let attempt = 0; attempt < 4; attempt += 1) {
    delays.push(...fixture.clock.delays)
    fixture.clock.tick()
    fixture.socket.drop(1006)
  }
  expect(delays).toEqual([250, 500, 1000, 1000])
  fixture.clock.tick()
  fixture.socket.open().serverSends(frames[1]!)
  fixture.socket.drop(1006)
  expect(fixture.clock.delays).toEqual([250])
  fixture.clock.tick()
  fixture.socket.open().serverSends(...frames.slice(2))
  expect((await result).text).toBe('ab')
})

test('half of each delay is random', async () => {
  const fixture = await openStream({ reconnect: { random: () => 0, initialDelayMs: 800 } })
  fixture.socket.drop(1006)
  expect(fixture.clock.delays).toEqual([400])
})

test('when no attempt is left, open promises reject and the next message tries afresh', async () => {
  const fixture = await openStream({ reconnect: { maxAttempts: 2 } })
  const result = fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.drop(1006)
  for (let attempt = 0; attempt < 2; attempt += 1) {
    fixture.clock.tick()
    fixture.socket.drop(1006)
  }
  await expect(result).rejects.toMatchObject({ code: 'interrupted', retryable: true })
  expect(fixture.events).toMatchObject([
    { type: 'error', code: 'interrupted', turnId: fixture.sockets[0]!.turnId() }
  ])
  expect(fixture.clock.delays).toEqual([])
  void fixture.stream.sendMessage({ message: 'again' })
  expect(fixture.sockets).toHaveLength(4)
  fixture.socket.open()
  expect(fixture.socket.last).toMatchObject({ message: 'again' })
})

test('reconnect: false leaves a lost connection lost', async () => {
  const fixture = await openStream({ reconnect: false })
  const result = fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.drop(1006)
  await expect(result).rejects.toMatchObject({ code: 'interrupted' })
  expect(fixture.sockets).toHaveLength(1)
  expect(() => fixture.stream.sendMessage({ message: 'y' })).toThrow(
    'Cannot send message: socket already closed'
  )
})

test('a server that numbers nothing can not resume: the turn is interrupted, not sent again', async () => {
  const fixture = await openStream()
  const result = fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.serverSends({ type: 'token', token: 'a' })
  fixture.socket.drop(1006)
  await expect(result).rejects.toMatchObject({ code: 'interrupted', retryable: true })
  fixture.clock.tick()
  fixture.socket.open()
  expect(fixture.socket.sent).toEqual([])
})

test.each([
  [4400, 'invalid_request'],
  [4401, 'unauthorised'],
  [4404, 'agent_not_found'],
  [1009, 'too_large']
])('a first frame refused with %i rejects as %s and is not repeated', async (closeCode, code) => {
  const fixture = await openStream()
  const result = fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.drop(closeCode, 'no')
  await expect(result).rejects.toMatchObject({ code, message: 'no', retryable: false })
  expect(fixture.clock.delays).toEqual([])
  void fixture.stream.sendMessage({ message: 'better' })
  fixture.socket.open()
  expect(fixture.socket.sent).toMatchObject([{ message: 'better' }])
})

test('a frame that is too large does not harm the turn that runs beside it', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  const good = fixture.stream.sendMessage({ message: 'x' })
  const frames = answer(turnOf(fixture, 'c1'), ['a', 'b'])
  fixture.socket.serverSends(...frames.slice(0, 3))
  const large = fixture.stream.sendMessage({ message: 'large' })
  fixture.socket.drop(1009)
  await expect(large).rejects.toMatchObject({ code: 'too_large' })
  fixture.clock.tick()
  fixture.socket.open()
  expect(fixture.socket.sentTypes).toEqual(['resume'])
  fixture.socket.serverSends(...frames.slice(3))
  expect((await good).text).toBe('ab')
})

test.each([4408, 1000, undefined])(
  'an idle stream closed with %s rests until the next message',
  async (closeCode) => {
    const states: string[] = []
    const fixture = await openStream({ onConnection: (state) => states.push(state) })
    fixture.socket.drop(closeCode)
    expect(fixture.clock.delays).toEqual([])
    const result = fixture.stream.sendMessage({ message: 'x' })
    expect(fixture.sockets).toHaveLength(2)
    fixture.socket.open()
    fixture.socket.serverSends({ type: 'done' })
    expect(await result).toMatchObject({ finishReason: 'stop' })
    expect(states).toEqual(['open', 'idle', 'reconnecting', 'open'])
  }
)

test('an idle stream reconnects by itself and reads on, without taking over the turns of others', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  const result = fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.serverSends(...answer(turnOf(fixture, 'c1'), ['a']))
  await result
  fixture.socket.drop(1006)
  fixture.clock.tick()
  fixture.socket.open()
  expect(fixture.socket.sent).toEqual([{ type: 'resume', conversationId: 'c1', after: 4 }])
})

test('a socket that refuses a frame is replaced, and the frame is sent on the next', async () => {
  const fixture = await openStream()
  fixture.socket.refusesToSend = true
  void fixture.stream.sendMessage({ message: 'x' })
  fixture.clock.tick()
  fixture.socket.open()
  expect(fixture.socket.sent).toMatchObject([{ message: 'x' }])
})

test('the key comes first on every connection', async () => {
  const fixture = await openStream({ apiKey: 'secret', conversationId: 'c1' })
  void fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.serverSends(...answer(turnOf(fixture, 'c1'), []).slice(0, 1))
  fixture.socket.drop(1006)
  fixture.clock.tick()
  fixture.socket.open()
  expect(fixture.socket.sent).toEqual([
    { type: 'resume', conversationId: 'c1', after: 1, own: true, apiKey: 'secret' }
  ])
})

test('a silent connection is pinged, and replaced if no pong comes', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  const result = fixture.stream.sendMessage({ message: 'x' })
  const frames = answer(turnOf(fixture, 'c1'), ['a', 'b'])
  fixture.socket.serverSends(...frames.slice(0, 3))
  fixture.clock.tick()
  fixture.clock.tick()
  expect(fixture.socket.sentTypes).toEqual(['message', 'ping'])
  fixture.socket.serverSends({ type: 'pong' })
  for (let period = 0; period < 3; period += 1) fixture.clock.tick()
  expect(fixture.sockets[0]!.closedWith).toEqual({ code: 4000 })
  fixture.clock.tick()
  fixture.socket.open()
  expect(fixture.socket.sent).toEqual([{ type: 'resume', conversationId: 'c1', after: 3, own: true }])
  fixture.socket.serverSends(...frames.slice(3))
  expect((await result).text).toBe('ab')
})

test('no ping is sent while nothing is waited for', async () => {
  const fixture = await openStream()
  for (let period = 0; period < 9; period += 1) fixture.clock.tick()
  expect(fixture.socket.sent).toEqual([])
  expect(fixture.sockets).toHaveLength(1)
})
