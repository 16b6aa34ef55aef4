// Reading the log: gaps, repeats, joined tokens, a log that was cut, frames that mean nothing.
import { expect, test } from 'vitest'
import { answer, opened } from './fake.js'

const token = (seq: number, text: string, more: object = {}): object => ({
  type: 'token',
  token: text,
  conversationId: 'c1',
  seq,
  ...more
})

test('tokens that were joined are the next ones when their first is', async () => {
  const bench = await opened({ conversationId: 'c1' })
  const result = bench.stream.sendMessage({ message: 'x' })
  const turnId = bench.socket.turnId()
  bench.socket.says(
    token(1, 'a', { turnId }),
    token(4, 'bcd', { turnId, firstSeq: 2 }),
    token(5, 'e', { turnId })
  )
  bench.socket.says({ type: 'done', turnId, conversationId: 'c1', seq: 6 })
  expect((await result).text).toBe('abcde')
  expect(bench.sockets).toHaveLength(1)
})

test('an event that was seen is not shown again', async () => {
  const bench = await opened({ conversationId: 'c1' })
  bench.socket.says(token(1, 'a'), token(2, 'b'), token(1, 'a'), token(2, 'b'), token(3, 'c'))
  expect(bench.events.map((event) => event.seq)).toEqual([1, 2, 3])
})

test.each([
  ['a gap', token(4, 'd')],
  ['a joined frame that overlaps what was seen', token(4, 'bcd', { firstSeq: 2 })]
])('%s makes the client read again from where it stopped', async (_, frame) => {
  const bench = await opened({ conversationId: 'c1' })
  const result = bench.stream.sendMessage({ message: 'x' })
  const turnId = bench.socket.turnId()
  bench.socket.says(token(1, 'a', { turnId }), token(2, 'b', { turnId }), { ...frame, turnId })
  expect(bench.sockets[0]!.closedWith).toEqual({ code: 4000 })
  bench.clock.tick()
  bench.socket.open()
  expect(bench.socket.sent).toEqual([{ type: 'resume', conversationId: 'c1', after: 2, own: true }])
  bench.socket.says(token(3, 'c', { turnId }), token(4, 'd', { turnId }))
  bench.socket.says({ type: 'done', turnId, conversationId: 'c1', seq: 5 })
  expect((await result).text).toBe('abcd')
})

test('a hole in the log itself is accepted the second time', async () => {
  const bench = await opened({ conversationId: 'c1' })
  bench.socket.says(token(1, 'a'), token(5, 'e'))
  bench.clock.tick()
  bench.socket.open()
  bench.socket.says(token(5, 'e'), token(6, 'f'))
  expect(bench.sockets).toHaveLength(2)
  expect(bench.events.map((event) => event.seq)).toEqual([1, 5, 6])
})

test('without reconnecting, a gap is passed over', async () => {
  const bench = await opened({ conversationId: 'c1', reconnect: false })
  bench.socket.says(token(1, 'a'), token(5, 'e'))
  expect(bench.events.map((event) => event.seq)).toEqual([1, 5])
})

test('conversations are counted apart', async () => {
  const bench = await opened()
  bench.socket.says(token(1, 'a'), token(80, 'x', { conversationId: 'c2' }), token(2, 'b'))
  bench.socket.says(token(81, 'y', { conversationId: 'c2' }))
  expect(bench.events).toHaveLength(4)
  expect(bench.sockets).toHaveLength(1)
})

test('a log that was cut resets the place; a turn from the lost part is interrupted', async () => {
  const bench = await opened({ conversationId: 'c1' })
  const lost = bench.stream.sendMessage({ message: 'x' })
  const frames = answer({ turnId: bench.socket.turnId(), conversationId: 'c1' }, ['a', 'b'])
  bench.socket.says(...frames.slice(0, 4))
  bench.socket.drop(1006)
  bench.clock.tick()
  bench.socket.open()
  bench.socket.says({ type: 'reset', conversationId: 'c1', lastSeq: 2 })
  await expect(lost).rejects.toMatchObject({ code: 'interrupted', retryable: true })
  bench.socket.says(token(3, 'new'))
  expect(bench.events.slice(-3)).toMatchObject([
    { type: 'error', code: 'interrupted' },
    { type: 'reset', lastSeq: 2 },
    { type: 'token', token: 'new' }
  ])
})

test('an event of an unknown type goes to onUnknownEvent and counts in the log', async () => {
  const bench = await opened({ conversationId: 'c1' })
  const vision = { type: 'vision', text: 'meanwhile', conversationId: 'c1', seq: 2 }
  bench.socket.says(token(1, 'a'), vision, token(3, 'b'))
  expect(bench.unknown).toEqual([vision])
  expect(bench.events.map((event) => event.seq)).toEqual([1, 3])
  expect(bench.sockets).toHaveLength(1)
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
    'a narration by nobody known',
    '{"type":"narration","text":"x","source":"choir"}',
    { type: 'narration', text: 'x', source: 'choir' }
  ]
])('%s is reported and harms nothing', async (_, data, reported) => {
  const bench = await opened()
  const result = bench.stream.sendMessage({ message: 'x' })
  bench.socket.onmessage?.({ data })
  bench.socket.says({ type: 'token', token: 'fine' }, { type: 'done' })
  expect(bench.unknown).toEqual([reported])
  expect((await result).text).toBe('fine')
})

test('binary data is reported as it is', async () => {
  const bench = await opened()
  const data = new ArrayBuffer(2)
  bench.socket.onmessage?.({ data })
  expect(bench.unknown).toEqual([data])
})

test("another reader's turn is shown, and is nobody's answer", async () => {
  const bench = await opened({ conversationId: 'c1' })
  const result = bench.stream.sendMessage({ message: 'x' })
  bench.socket.says(...answer({ turnId: 'theirs', conversationId: 'c1' }, ['no']))
  bench.socket.says(...answer({ turnId: bench.socket.turnId(), conversationId: 'c1' }, ['yes'], 5))
  expect((await result).text).toBe('yes')
  expect(bench.events).toHaveLength(8)
})

test('a callback that throws is reported and does not break the stream', async () => {
  const thrown: unknown[] = []
  const bench = await opened({
    onEvent: () => {
      throw new Error('mine')
    },
    onCallbackError: (error) => thrown.push(error)
  })
  const result = bench.stream.sendMessage({ message: 'x' })
  bench.socket.says({ type: 'token', token: 'a' }, { type: 'done' })
  expect((await result).text).toBe('a')
  expect(thrown).toMatchObject([{ message: 'mine' }, { message: 'mine' }])
})

test('without onCallbackError, what a callback throws is an uncaught error, and the stream goes on', async () => {
  const uncaught: unknown[] = []
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.once('uncaughtException', (error) => uncaught.push(error))
  const bench = await opened({
    onEvent: (event) => {
      if (event.type === 'token') throw new Error('mine')
    }
  })
  const result = bench.stream.sendMessage({ message: 'x' })
  bench.socket.says({ type: 'token', token: 'a' }, { type: 'done' })
  expect((await result).text).toBe('a')
  await new Promise((resolve) => setImmediate(resolve))
  for (const listener of others) process.on('uncaughtException', listener)
  expect(uncaught).toMatchObject([{ message: 'mine' }])
})

test('a conversation that is gone ends every turn in it, and no other', async () => {
  const bench = await opened({ conversationId: 'c1' })
  const first = bench.stream.sendMessage({ message: '1' })
  const second = bench.stream.sendMessage({ message: '2' })
  const elsewhere = bench.stream.sendMessage({ message: '3', conversationId: 'c2' })
  bench.socket.says(token(1, 'a', { turnId: bench.socket.turnId(0) }))
  bench.socket.says({
    type: 'error',
    code: 'gone',
    message: 'deleted',
    retryable: false,
    conversationId: 'c1'
  })
  await expect(first).rejects.toMatchObject({ code: 'gone' })
  await expect(second).rejects.toMatchObject({ code: 'gone' })
  bench.socket.says({ type: 'done', turnId: bench.socket.turnId(2), conversationId: 'c2' })
  expect(await elsewhere).toMatchObject({ finishReason: 'stop' })
})

test('a log that can not be read just now is read again over a new connection', async () => {
  const bench = await opened({ conversationId: 'c1' })
  const result = bench.stream.sendMessage({ message: '1' })
  const frames = answer({ turnId: bench.socket.turnId(), conversationId: 'c1' }, ['a'])
  bench.socket.says(...frames.slice(0, 2))
  bench.socket.says({
    type: 'error',
    code: 'internal',
    message: 'disk',
    retryable: true,
    conversationId: 'c1'
  })
  bench.clock.tick()
  bench.socket.open()
  expect(bench.socket.sent).toMatchObject([{ type: 'resume', after: 2 }])
  bench.socket.says(...frames.slice(2))
  expect((await result).text).toBe('a')
})

test('an error about no turn of a server that names turns harms none', async () => {
  const bench = await opened({ conversationId: 'c1' })
  const result = bench.stream.sendMessage({ message: '1' })
  const frames = answer({ turnId: bench.socket.turnId(), conversationId: 'c1' }, ['a'])
  bench.socket.says(frames[0]!, {
    type: 'error',
    code: 'conversation_not_found',
    message: 'x',
    retryable: false
  })
  bench.socket.says(...frames.slice(1))
  expect((await result).text).toBe('a')
})

test('a message that a numbering server could not read is the oldest one without an answer', async () => {
  const bench = await opened({ conversationId: 'c1' })
  const good = bench.stream.sendMessage({ message: '1' })
  const frames = answer({ turnId: bench.socket.turnId(), conversationId: 'c1' }, ['a'])
  bench.socket.says(...frames.slice(0, 2))
  const bad = bench.stream.sendMessage({ message: '2', options: { temperature: -1 } })
  bench.socket.says({ type: 'error', code: 'invalid_request', message: 'temperature', retryable: false })
  await expect(bad).rejects.toMatchObject({ code: 'invalid_request' })
  bench.socket.says(...frames.slice(2))
  expect((await good).text).toBe('a')
})

test('a conversation that is left behind is read no more', async () => {
  const bench = await opened({ conversationId: 'c1' })
  const first = bench.stream.sendMessage({ message: '1' })
  bench.socket.says(...answer({ turnId: bench.socket.turnId(0), conversationId: 'c1' }, ['a']))
  await first
  void bench.stream.sendMessage({ message: '2', conversationId: 'c2' })
  expect(bench.socket.said).toEqual(['message', 'leave', 'message'])
  expect(bench.socket.sent[1]).toEqual({ type: 'leave', conversationId: 'c1' })
})

test('what controllers and narrators say counts in the log, and is no part of an answer', async () => {
  const bench = await opened({ conversationId: 'c1' })
  const result = bench.stream.sendMessage({ message: 'x' })
  const turn = { turnId: bench.socket.turnId(), conversationId: 'c1' }
  const said = [
    { type: 'step-start', step: 1, title: 'Reads' },
    { type: 'step', step: 1 },
    { type: 'tool', callId: 'k', name: 'look', payload: null },
    { type: 'tool-output', callId: 'k', name: 'look', payload: [1] },
    { type: 'step-finish', step: 1, payload: { ok: true } },
    { type: 'summary', text: '# So far', ref: 'run.md' },
    { type: 'narration', text: 'Meanwhile.', source: 'narrator' }
  ]
  bench.socket.says({ type: 'user', text: 'x', ...turn, seq: 1 }, token(2, 'a', turn))
  for (const [index, event] of said.entries())
    bench.socket.says({ ...event, conversationId: 'c1', seq: 3 + index })
  bench.socket.drop(1006)
  bench.clock.tick()
  bench.socket.open()
  expect(bench.socket.sent).toMatchObject([{ type: 'resume', after: 9, own: true }])
  bench.socket.says({ type: 'reasoning', token: 'hm', ...turn, seq: 10 }, token(11, 'b', turn), {
    type: 'done',
    ...turn,
    seq: 12
  })
  expect((await result).text).toBe('ab')
  expect(bench.events.slice(2, 9)).toEqual(
    said.map((event, index) => ({ ...event, conversationId: 'c1', seq: 3 + index }))
  )
  expect(bench.unknown).toEqual([])
})

test('what a narrator says before any word of the answer is taken for no sign that the message arrived', async () => {
  const bench = await opened({ conversationId: 'c1' })
  void bench.stream.sendMessage({ message: 'x' })
  bench.socket.says({ type: 'narration', text: 'Hello.', source: 'system', conversationId: 'c1', seq: 1 })
  bench.socket.drop(1006)
  bench.clock.tick()
  bench.socket.open()
  expect(bench.socket.said).toEqual(['message', 'resume'])
})

test('with `after`, the log is read before any message', async () => {
  const bench = await opened({ conversationId: 'c1', after: 0, apiKey: 'secret' })
  expect(bench.socket.sent).toEqual([
    { type: 'hello', agentId: 'planner', conversationId: 'c1', apiKey: 'secret' },
    { type: 'resume', conversationId: 'c1', after: 0 }
  ])
  bench.socket.says({ type: 'narration', text: 'Hello.', source: 'user', conversationId: 'c1', seq: 1 })
  bench.socket.drop(1006)
  bench.clock.tick()
  bench.socket.open()
  expect(bench.socket.sent).toEqual([{ type: 'resume', conversationId: 'c1', after: 1, apiKey: 'secret' }])
})

test('a log that is not there yet is made by a message', async () => {
  const bench = await opened({ conversationId: 'c1', after: 5 })
  const result = bench.stream.sendMessage({ message: 'x' })
  const error = { type: 'error', code: 'conversation_not_found', message: 'not found', retryable: false }
  bench.socket.says({ type: 'ready', model: 'm', limits: {}, lastSeq: 0 }, { ...error, conversationId: 'c1' })
  bench.socket.says(...answer({ turnId: bench.socket.turnId(), conversationId: 'c1' }, ['ok']))
  expect((await result).text).toBe('ok')
  expect(bench.events[1]).toMatchObject(error)
})
