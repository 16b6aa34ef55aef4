// Tools: offered with a message, called by the model, answered once, also across lost connections.
import { expect, test, vi } from 'vitest'
import type { ToolCall } from '../../src/index.js'
import { openStream, type StreamFixture } from './fake-stream.js'

const tools = [{ name: 'look', description: 'Looks it up.', parameters: { type: 'object' } }]

/** Resolves after the handler's promise and its continuations have run. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Returns the frames by which the fixture's first turn runs and calls a tool. */
function asks(fixture: StreamFixture, callId = 'k1', seq = 3): readonly object[] {
  const turn = { turnId: fixture.sockets[0]!.turnId(), conversationId: 'c1' }
  return [
    { type: 'user', text: 'x', ...turn, seq: seq - 2 },
    { type: 'step-start', step: 1, ...turn, seq: seq - 1 },
    { type: 'tool', callId, name: 'look', payload: { at: 'it' }, ...turn, seq }
  ]
}

const outputs = (fixture: StreamFixture): readonly unknown[] =>
  fixture.sockets.flatMap((socket) => socket.sent.filter((frame) => frame['type'] === 'tool-output'))

/** Loses the connection and reconnects. */
function reconnect(fixture: StreamFixture): void {
  fixture.socket.drop(1006)
  fixture.clock.tick()
  fixture.socket.open()
}

test('the tools of a message go with it, and the same ones when it is sent again', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  void fixture.stream.sendMessage({ message: 'x', tools })
  expect(fixture.socket.last).toMatchObject({ message: 'x', tools })
  const { last } = fixture.socket
  reconnect(fixture)
  expect(fixture.socket.last).toEqual(last)
})

test('a handler answers the call, after onEvent has shown it', async () => {
  const order: string[] = []
  const calls: ToolCall[] = []
  const fixture = await openStream({
    conversationId: 'c1',
    onEvent: (event) => order.push(event.type),
    onTool: (call) => {
      order.push('onTool')
      calls.push(call)
      return { found: 1 }
    }
  })
  const result = fixture.stream.sendMessage({ message: 'x', tools })
  const turn = { turnId: fixture.socket.turnId(), conversationId: 'c1' }
  fixture.socket.serverSends(...asks(fixture))
  await settled()
  expect(calls).toEqual([{ ...turn, callId: 'k1', name: 'look', payload: { at: 'it' } }])
  expect(fixture.socket.last).toEqual({ type: 'tool-output', ...turn, callId: 'k1', output: { found: 1 } })
  expect(order).toEqual(['user', 'step-start', 'tool', 'onTool'])
  fixture.socket.serverSends(
    { type: 'tool-output', callId: 'k1', name: 'look', payload: { found: 1 }, ...turn, seq: 4 },
    { type: 'token', token: 'ok', ...turn, seq: 5 },
    { type: 'done', ...turn, seq: 6 }
  )
  expect((await result).text).toBe('ok')
  expect(outputs(fixture)).toHaveLength(1)
})

test.each([
  ['throws', () => Promise.reject(new Error('no such thing')), { error: 'no such thing' }],
  ['gives nothing', () => undefined, null],
  ['gives what JSON can not say', () => 1n, { error: expect.stringContaining('BigInt') as unknown }],
  ['gives a function', () => () => 1, { error: 'A tool output must be JSON' }],
  [
    'gives too much',
    () => 'x'.repeat(1 << 20),
    { error: 'The tool output has 1048578 bytes, and 1047552 are allowed' }
  ]
])('a handler that %s answers all the same', async (_, onTool, output) => {
  const fixture = await openStream({ conversationId: 'c1', onTool })
  void fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.serverSends(...asks(fixture))
  await settled()
  expect(outputs(fixture)).toMatchObject([{ callId: 'k1', output }])
})

test("a message's own handler wins over the stream's", async () => {
  const ofStream = vi.fn()
  const fixture = await openStream({ conversationId: 'c1', onTool: ofStream })
  void fixture.stream.sendMessage({ message: 'x', onTool: () => 'mine' })
  fixture.socket.serverSends(...asks(fixture))
  await settled()
  expect(outputs(fixture)).toMatchObject([{ output: 'mine' }])
  expect(ofStream).not.toHaveBeenCalled()
})

test('a call that is read again runs no second time; an output that may be lost is sent again', async () => {
  const onTool = vi.fn(() => 7)
  const fixture = await openStream({ conversationId: 'c1', onTool })
  void fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.serverSends(...asks(fixture))
  await settled()
  reconnect(fixture)
  // A server that reads its log from the start again, even under new numbers.
  fixture.socket.serverSends(...asks(fixture), ...asks(fixture, 'k1', 6))
  await settled()
  expect(onTool).toHaveBeenCalledTimes(1)
  expect(fixture.socket.sentTypes).toEqual(['resume', 'tool-output'])
  const [first, again] = outputs(fixture)
  expect(again).toEqual(first)
})

test('an output that is ready while the connection is lost is sent over the next one', async () => {
  let answerIt: (output: unknown) => void = () => undefined
  const fixture = await openStream({
    conversationId: 'c1',
    onTool: () => new Promise((resolve) => (answerIt = resolve))
  })
  void fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.serverSends(...asks(fixture))
  fixture.socket.drop(1006)
  answerIt('late')
  await settled()
  expect(outputs(fixture)).toEqual([])
  fixture.clock.tick()
  fixture.socket.open()
  expect(fixture.socket.sent).toMatchObject([{ type: 'resume' }, { type: 'tool-output', output: 'late' }])
})

test('an output that the log has shown is not sent again', async () => {
  const fixture = await openStream({ conversationId: 'c1', onTool: () => 7 })
  void fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.serverSends(...asks(fixture))
  await settled()
  const turn = { turnId: fixture.socket.turnId(), conversationId: 'c1' }
  fixture.socket.serverSends({ type: 'tool-output', callId: 'k1', name: 'look', payload: 7, ...turn, seq: 4 })
  reconnect(fixture)
  expect(fixture.socket.sentTypes).toEqual(['resume'])
})

test('a refusal of an output that was sent again is hidden, any other is shown; the turn goes on', async () => {
  const fixture = await openStream({ conversationId: 'c1', onTool: () => 7 })
  const result = fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.serverSends(...asks(fixture))
  await settled()
  reconnect(fixture)
  const turn = { turnId: fixture.sockets[0]!.turnId(), conversationId: 'c1' }
  const refusal = { type: 'error', code: 'conflict', message: 'answered already', retryable: false, ...turn }
  const shown = fixture.events.length
  fixture.socket.serverSends(refusal)
  expect(fixture.events).toHaveLength(shown)
  fixture.socket.serverSends(refusal)
  expect(fixture.events.at(-1)).toMatchObject(refusal)
  fixture.socket.serverSends({ type: 'done', ...turn, seq: 4 })
  expect((await result).finishReason).toBe('stop')
})

test('a call is answered by hand, with the conversation of its turn; only the first answer counts', async () => {
  const fixture = await openStream({ conversationId: 'c1' })
  void fixture.stream.sendMessage({ message: 'x' })
  void fixture.stream.sendMessage({ message: 'y', conversationId: 'c2' })
  fixture.socket.serverSends(...asks(fixture))
  const call = { turnId: fixture.socket.turnId(), callId: 'k1' }
  fixture.stream.sendToolOutput({ ...call, output: [1, undefined] })
  fixture.stream.sendToolOutput({ ...call, output: 2 })
  expect(outputs(fixture)).toEqual([
    { type: 'tool-output', ...call, conversationId: 'c1', output: [1, null] }
  ])
  expect(() => fixture.stream.sendToolOutput({ ...call, output: 1n })).toThrow(TypeError)
  fixture.stream.stop()
  expect(() => fixture.stream.sendToolOutput({ ...call, output: 3 })).toThrow(
    'Cannot send tool output: socket already closed'
  )
})

test('a call that onEvent answers is not given to the handler', async () => {
  const onTool = vi.fn()
  const fixture = await openStream({
    conversationId: 'c1',
    onTool,
    onEvent: (event) => {
      if (event.type !== 'tool') return
      fixture.stream.sendToolOutput({ turnId: event.turnId ?? '', callId: event.callId, output: 'by hand' })
    }
  })
  void fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.serverSends(...asks(fixture))
  await settled()
  expect(onTool).not.toHaveBeenCalled()
  expect(outputs(fixture)).toMatchObject([{ output: 'by hand' }])
})

test('a turn of another reader is not ours to answer by itself, but by hand it is', async () => {
  const onTool = vi.fn()
  const fixture = await openStream({ conversationId: 'c1', onTool })
  const turn = { turnId: 'theirs', conversationId: 'c1' }
  fixture.socket.serverSends({ type: 'tool', callId: 'k1', name: 'look', payload: 1, ...turn, seq: 1 })
  await settled()
  expect(onTool).not.toHaveBeenCalled()
  fixture.socket.drop(1006)
  fixture.stream.sendToolOutput({ turnId: 'theirs', callId: 'k1', output: 1 })
  fixture.clock.tick()
  fixture.socket.open()
  reconnect(fixture)
  expect(outputs(fixture)).toEqual([{ type: 'tool-output', ...turn, callId: 'k1', output: 1 }])
})

test('the answer of a handler to a turn that was cancelled, or is over, is not sent', async () => {
  let answerIt: (output: unknown) => void = () => undefined
  const fixture = await openStream({
    conversationId: 'c1',
    onTool: () => new Promise((resolve) => (answerIt = resolve))
  })
  void fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.serverSends(...asks(fixture))
  fixture.stream.cancel()
  answerIt('late')
  await settled()
  expect(fixture.socket.sentTypes).toEqual(['message', 'cancel'])
})

test('a call without an id, of an older server, is shown and can not be answered', async () => {
  const onTool = vi.fn()
  const fixture = await openStream({ onTool })
  const result = fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.serverSends({ type: 'tool', name: 'look', payload: {} }, { type: 'done' })
  await result
  expect(fixture.events[0]).toMatchObject({
    type: 'tool',
    callId: '',
    name: 'look',
    turnId: fixture.socket.turnId()
  })
  expect(onTool).not.toHaveBeenCalled()
})
