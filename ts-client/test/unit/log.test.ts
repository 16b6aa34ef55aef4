// Reading the log: gaps, duplicates, joined tokens, a log that was cut, invalid frames.
import { expect, test } from 'vitest'
import { answer, openStream } from './fake-stream.js'

const token = (seq: number, text: string, more: object = {}): object => ({
  type: 'token',
  token: text,
  conversationId: 'c1',
  seq,
  ...more
})

test('tokens that were joined are the next ones when their first is', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  const result = fixture.stream.sendMessage({ message: 'x' })
  const turnId = fixture.socket.turnId()
  fixture.socket.serverSends(
    token(1, 'a', { turnId }),
    token(4, 'bcd', { turnId, firstSeq: 2 }),
    token(5, 'e', { turnId })
  )
  fixture.socket.serverSends({ type: 'done', turnId, conversationId: 'c1', seq: 6 })
  expect((await result).text).toBe('abcde')
  expect(fixture.sockets).toHaveLength(1)
})

test('an event that was seen is not shown again', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  fixture.socket.serverSends(token(1, 'a'), token(2, 'b'), token(1, 'a'), token(2, 'b'), token(3, 'c'))
  expect(fixture.events.map((event) => event.seq)).toEqual([1, 2, 3])
})

test.each([
  ['a gap', token(4, 'd')],
  ['a joined frame that overlaps what was seen', token(4, 'bcd', { firstSeq: 2 })]
])('%s makes the client read again from where it stopped', async (_, frame) => {
  const fixture = await openStream({ conversationId: 'c1' })
  const result = fixture.stream.sendMessage({ message: 'x' })
  const turnId = fixture.socket.turnId()
  fixture.socket.serverSends(token(1, 'a', { turnId }), token(2, 'b', { turnId }), { ...frame, turnId })
  expect(fixture.sockets[0]!.closedWith).toEqual({ code: 4000 })
  fixture.clock.tick()
  fixture.socket.open()
  expect(fixture.socket.sent).toEqual([{ type: 'resume', conversationId: 'c1', after: 2, own: true }])
  fixture.socket.serverSends(token(3, 'c', { turnId }), token(4, 'd', { turnId }))
  fixture.socket.serverSends({ type: 'done', turnId, conversationId: 'c1', seq: 5 })
  expect((await result).text).toBe('abcd')
})

test('a gap in the log itself is accepted the second time', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  fixture.socket.serverSends(token(1, 'a'), token(5, 'e'))
  fixture.clock.tick()
  fixture.socket.open()
  fixture.socket.serverSends(token(5, 'e'), token(6, 'f'))
  expect(fixture.sockets).toHaveLength(2)
  expect(fixture.events.map((event) => event.seq)).toEqual([1, 5, 6])
})

test('without reconnecting, a gap is skipped', async () => {
  const fixture = await openStream({ conversationId: 'c1', reconnect: false })
  fixture.socket.serverSends(token(1, 'a'), token(5, 'e'))
  expect(fixture.events.map((event) => event.seq)).toEqual([1, 5])
})

test('conversations are counted apart', async () => {
  const fixture = await openStream()
  fixture.socket.serverSends(token(1, 'a'), token(80, 'x', { conversationId: 'c2' }), token(2, 'b'))
  fixture.socket.serverSends(token(81, 'y', { conversationId: 'c2' }))
  expect(fixture.events).toHaveLength(4)
  expect(fixture.sockets).toHaveLength(1)
})

test('a log that was cut resets the place; a turn from the lost part is interrupted', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  const lost = fixture.stream.sendMessage({ message: 'x' })
  const frames = answer({ turnId: fixture.socket.turnId(), conversationId: 'c1' }, ['a', 'b'])
  fixture.socket.serverSends(...frames.slice(0, 4))
  fixture.socket.drop(1006)
  fixture.clock.tick()
  fixture.socket.open()
  fixture.socket.serverSends({ type: 'reset', conversationId: 'c1', lastSeq: 2 })
  await expect(lost).rejects.toMatchObject({ code: 'interrupted', retryable: true })
  fixture.socket.serverSends(token(3, 'new'))
  expect(fixture.events.slice(-3)).toMatchObject([
    { type: 'error', code: 'interrupted' },
    { type: 'reset', lastSeq: 2 },
    { type: 'token', token: 'new' }
  ])
})

test('an event of an unknown type goes to onUnknownEvent and counts in the log', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  const vision = { type: 'vision', text: 'meanwhile', conversationId: 'c1', seq: 2 }
  fixture.socket.serverSends(token(1, 'a'), vision, token(3, 'b'))
  expect(fixture.unknown).toEqual([vision])
  expect(fixture.events.map((event) => event.seq)).toEqual([1, 3])
  expect(fixture.sockets).toHaveLength(1)
})

test.each([
  ['no JSON', '{"type":"tok', '{"type":"tok'],
  ['no object', '[1]', [1]],
  ['null', 'null', null],
  ['no type', '{"token":"x"}', { token: 'x' }],
  ['a type from the prototype', '{"type":"toString"}', { type: 'toString' }],
  ['a token that is no text', '{"type":"token","token":5}', { type: 'token', token: 5 }],
  ['a step without its number', '{"type":"step","title":"x"}', { type: 'step', title: 'x' }],
  [
    'a narration of an unknown source',
    '{"type":"narration","text":"x","source":"choir"}',
    { type: 'narration', text: 'x', source: 'choir' }
  ]
])('%s is reported and harms nothing', async (_, data, reported) => {
  const fixture = await openStream()
  const result = fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.onmessage?.({ data })
  fixture.socket.serverSends({ type: 'token', token: 'fine' }, { type: 'done' })
  expect(fixture.unknown).toEqual([reported])
  expect((await result).text).toBe('fine')
})

test('binary data is reported as it is', async () => {
  const fixture = await openStream()
  const data = new ArrayBuffer(2)
  fixture.socket.onmessage?.({ data })
  expect(fixture.unknown).toEqual([data])
})

test("another reader's turn is shown, and is no answer of this stream", async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  const result = fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.serverSends(...answer({ turnId: 'theirs', conversationId: 'c1' }, ['no']))
  fixture.socket.serverSends(...answer({ turnId: fixture.socket.turnId(), conversationId: 'c1' }, ['yes'], 5))
  expect((await result).text).toBe('yes')
  expect(fixture.events).toHaveLength(8)
})

test('a callback that throws is reported and does not break the stream', async () => {
  const thrown: unknown[] = []
  const fixture = await openStream({
    onEvent: () => {
      throw new Error('mine')
    },
    onCallbackError: (error) => thrown.push(error)
  })
  const result = fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.serverSends({ type: 'token', token: 'a' }, { type: 'done' })
  expect((await result).text).toBe('a')
  expect(thrown).toMatchObject([{ message: 'mine' }, { message: 'mine' }])
})

test('without onCallbackError, what a callback throws is an uncaught error, and the stream goes on', async () => {
  const uncaught: unknown[] = []
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.once('uncaughtException', (error) => uncaught.push(error))
  const fixture = await openStream({
    onEvent: (event) => {
      if (event.type === 'token') throw new Error('mine')
    }
  })
  const result = fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.serverSends({ type: 'token', token: 'a' }, { type: 'done' })
  expect((await result).text).toBe('a')
  await new Promise((resolve) => setImmediate(resolve))
  for (const listener of others) process.on('uncaughtException', listener)
  expect(uncaught).toMatchObject([{ message: 'mine' }])
})

test('a conversation that is gone ends every turn in it, and no other', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  const first = fixture.stream.sendMessage({ message: '1' })
  const second = fixture.stream.sendMessage({ message: '2' })
  const elsewhere = fixture.stream.sendMessage({ message: '3', conversationId: 'c2' })
  fixture.socket.serverSends(token(1, 'a', { turnId: fixture.socket.turnId(0) }))
  fixture.socket.serverSends({
    type: 'error',
    code: 'gone',
    message: 'deleted',
    retryable: false,
    conversationId: 'c1'
  })
  await expect(first).rejects.toMatchObject({ code: 'gone' })
  await expect(second).rejects.toMatchObject({ code: 'gone' })
  fixture.socket.serverSends({ type: 'done', turnId: fixture.socket.turnId(2), conversationId: 'c2' })
  expect(await elsewhere).toMatchObject({ finishReason: 'stop' })
})

test('a log that can not be read just now is read again over a new connection', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  const result = fixture.stream.sendMessage({ message: '1' })
  const frames = answer({ turnId: fixture.socket.turnId(), conversationId: 'c1' }, ['a'])
  fixture.socket.serverSends(...frames.slice(0, 2))
  fixture.socket.serverSends({
    type: 'error',
    code: 'internal',
    message: 'disk',
    retryable: true,
    conversationId: 'c1'
  })
  fixture.clock.tick()
  fixture.socket.open()
  expect(fixture.socket.sent).toMatchObject([{ type: 'resume', after: 2 }])
  fixture.socket.serverSends(...frames.slice(2))
  expect((await result).text).toBe('a')
})

test('an error about no turn of a server that names turns harms none', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  const result = fixture.stream.sendMessage({ message: '1' })
  const frames = answer({ turnId: fixture.socket.turnId(), conversationId: 'c1' }, ['a'])
  fixture.socket.serverSends(frames[0]!, {
    type: 'error',
    code: 'conversation_not_found',
    message: 'x',
    retryable: false
  })
  fixture.socket.serverSends(...frames.slice(1))
  expect((await result).text).toBe('a')
})

test('a message that a numbering server could not read is the oldest one without an answer', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  const good = fixture.stream.sendMessage({ message: '1' })
  const frames = answer({ turnId: fixture.socket.turnId(), conversationId: 'c1' }, ['a'])
  fixture.socket.serverSends(...frames.slice(0, 2))
  const bad = fixture.stream.sendMessage({ message: '2', options: { temperature: -1 } })
  fixture.socket.serverSends({
    type: 'error',
    code: 'invalid_request',
    message: 'temperature',
    retryable: false
  })
  await expect(bad).rejects.toMatchObject({ code: 'invalid_request' })
  fixture.socket.serverSends(...frames.slice(2))
  expect((await good).text).toBe('a')
})

test('a conversation that is left behind is read no more', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  const first = fixture.stream.sendMessage({ message: '1' })
  fixture.socket.serverSends(...answer({ turnId: fixture.socket.turnId(0), conversationId: 'c1' }, ['a']))
  await first
  void fixture.stream.sendMessage({ message: '2', conversationId: 'c2' })
  expect(fixture.socket.sentTypes).toEqual(['message', 'leave', 'message'])
  expect(fixture.socket.sent[1]).toEqual({ type: 'leave', conversationId: 'c1' })
})

test('events of controllers and narrators count in the log, and are no part of an answer', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  const result = fixture.stream.sendMessage({ message: 'x' })
  const turn = { turnId: fixture.socket.turnId(), conversationId: 'c1' }
  const published = [
    { type: 'step-start', step: 1, title: 'Reads' },
    { type: 'step', step: 1 },
    { type: 'tool', callId: 'k', name: 'look', payload: null },
    { type: 'tool-output', callId: 'k', name: 'look', payload: [1] },
    { type: 'step-finish', step: 1, payload: { ok: true } },
    { type: 'summary', text: '# So far', ref: 'run.md' },
    { type: 'narration', text: 'Meanwhile.', source: 'narrator' }
  ]
  fixture.socket.serverSends({ type: 'user', text: 'x', ...turn, seq: 1 }, token(2, 'a', turn))
  for (const [index, event] of published.entries())
    fixture.socket.serverSends({ ...event, conversationId: 'c1', seq: 3 + index })
  fixture.socket.drop(1006)
  fixture.clock.tick()
  fixture.socket.open()
  expect(fixture.socket.sent).toMatchObject([{ type: 'resume', after: 9, own: true }])
  fixture.socket.serverSends({ type: 'reasoning', token: 'hm', ...turn, seq: 10 }, token(11, 'b', turn), {
    type: 'done',
    ...turn,
    seq: 12
  })
  expect((await result).text).toBe('ab')
  expect(fixture.events.slice(2, 9)).toEqual(
    published.map((event, index) => ({ ...event, conversationId: 'c1', seq: 3 + index }))
  )
  expect(fixture.unknown).toEqual([])
})

test('a narration before the first event of a turn does not acknowledge its message', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  void fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.serverSends({
    type: 'narration',
    text: 'Hello.',
    source: 'system',
    conversationId: 'c1',
    seq: 1
  })
  fixture.socket.drop(1006)
  fixture.clock.tick()
  fixture.socket.open()
  expect(fixture.socket.sentTypes).toEqual(['message', 'resume'])
})

test('with `after`, the log is read before any message', async () => {
  const fixture = await openStream({ conversationId: 'c1', after: 0, apiKey: 'secret' })
  expect(fixture.socket.sent).toEqual([
    { type: 'hello', agentId: 'planner', conversationId: 'c1', apiKey: 'secret' },
    { type: 'resume', conversationId: 'c1', after: 0 }
  ])
  fixture.socket.serverSends({
    type: 'narration',
    text: 'Hello.',
    source: 'user',
    conversationId: 'c1',
    seq: 1
  })
  fixture.socket.drop(1006)
  fixture.clock.tick()
  fixture.socket.open()
  expect(fixture.socket.sent).toEqual([{ type: 'resume', conversationId: 'c1', after: 1, apiKey: 'secret' }])
})

test('a log that is not there yet is made by a message', async () => {
  const fixture = await openStream({ conversationId: 'c1', after: 5 })
  const result = fixture.stream.sendMessage({ message: 'x' })
  const error = { type: 'error', code: 'conversation_not_found', message: 'not found', retryable: false }
  fixture.socket.serverSends(
    { type: 'ready', model: 'm', limits: {}, lastSeq: 0 },
    { ...error, conversationId: 'c1' }
  )
  fixture.socket.serverSends(...answer({ turnId: fixture.socket.turnId(), conversationId: 'c1' }, ['ok']))
  expect((await result).text).toBe('ok')
  expect(fixture.events[1]).toMatchObject(error)
})
