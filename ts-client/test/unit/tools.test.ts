// Tools: offered with a message, asked for by the model, answered once, whatever happens to the connection.
import { expect, test, vi } from 'vitest'
import type { ToolCall } from '../../src/index.js'
import { opened, type Bench } from './fake.js'

const tools = [{ name: 'look', description: 'Looks it up.', parameters: { type: 'object' } }]

/** The handler's promise and what follows it have run. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Frames of the bench's first turn, which say that it runs and asks for a tool. */
function asks(bench: Bench, callId = 'k1', seq = 3): readonly object[] {
  const turn = { turnId: bench.sockets[0]!.turnId(), conversationId: 'c1' }
  return [
    { type: 'user', text: 'x', ...turn, seq: seq - 2 },
    { type: 'step-start', step: 1, ...turn, seq: seq - 1 },
    { type: 'tool', callId, name: 'look', payload: { at: 'it' }, ...turn, seq }
  ]
}

const outputs = (bench: Bench): readonly unknown[] =>
  bench.sockets.flatMap((socket) => socket.sent.filter((frame) => frame['type'] === 'tool-output'))

/** Loses the connection and comes back. */
function comeBack(bench: Bench): void {
  bench.socket.drop(1006)
  bench.clock.tick()
  bench.socket.open()
}

test('the tools of a message go with it, and the same ones when it is sent again', async () => {
  const bench = await opened({ conversationId: 'c1' })
  void bench.stream.sendMessage({ message: 'x', tools })
  expect(bench.socket.last).toMatchObject({ message: 'x', tools })
  const { last } = bench.socket
  comeBack(bench)
  expect(bench.socket.last).toEqual(last)
})

test('a handler answers the call, after onEvent has shown it', async () => {
  const order: string[] = []
  const calls: ToolCall[] = []
  const bench = await opened({
    conversationId: 'c1',
    onEvent: (event) => order.push(event.type),
    onTool: (call) => {
      order.push('onTool')
      calls.push(call)
      return { found: 1 }
    }
  })
  const result = bench.stream.sendMessage({ message: 'x', tools })
  const turn = { turnId: bench.socket.turnId(), conversationId: 'c1' }
  bench.socket.says(...asks(bench))
  await settled()
  expect(calls).toEqual([{ ...turn, callId: 'k1', name: 'look', payload: { at: 'it' } }])
  expect(bench.socket.last).toEqual({ type: 'tool-output', ...turn, callId: 'k1', output: { found: 1 } })
  expect(order).toEqual(['user', 'step-start', 'tool', 'onTool'])
  bench.socket.says(
    { type: 'tool-output', callId: 'k1', name: 'look', payload: { found: 1 }, ...turn, seq: 4 },
    { type: 'token', token: 'ok', ...turn, seq: 5 },
    { type: 'done', ...turn, seq: 6 }
  )
  expect((await result).text).toBe('ok')
  expect(outputs(bench)).toHaveLength(1)
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
  const bench = await opened({ conversationId: 'c1', onTool })
  void bench.stream.sendMessage({ message: 'x' })
  bench.socket.says(...asks(bench))
  await settled()
  expect(outputs(bench)).toMatchObject([{ callId: 'k1', output }])
})

test("a message's own handler wins over the stream's", async () => {
  const ofStream = vi.fn()
  const bench = await opened({ conversationId: 'c1', onTool: ofStream })
  void bench.stream.sendMessage({ message: 'x', onTool: () => 'mine' })
  bench.socket.says(...asks(bench))
  await settled()
  expect(outputs(bench)).toMatchObject([{ output: 'mine' }])
  expect(ofStream).not.toHaveBeenCalled()
})

test('a call that is read again runs no second time; an answer that may be lost is said again', async () => {
  const onTool = vi.fn(() => 7)
  const bench = await opened({ conversationId: 'c1', onTool })
  void bench.stream.sendMessage({ message: 'x' })
  bench.socket.says(...asks(bench))
  await settled()
  comeBack(bench)
  // A server that reads its log from the beginning again, under new numbers even.
  bench.socket.says(...asks(bench), ...asks(bench, 'k1', 6))
  await settled()
  expect(onTool).toHaveBeenCalledTimes(1)
  expect(bench.socket.said).toEqual(['resume', 'tool-output'])
  const [first, again] = outputs(bench)
  expect(again).toEqual(first)
})

test('an answer that is ready while the connection is lost leaves with the next one', async () => {
  let answerIt: (output: unknown) => void = () => undefined
  const bench = await opened({
    conversationId: 'c1',
    onTool: () => new Promise((resolve) => (answerIt = resolve))
  })
  void bench.stream.sendMessage({ message: 'x' })
  bench.socket.says(...asks(bench))
  bench.socket.drop(1006)
  answerIt('late')
  await settled()
  expect(outputs(bench)).toEqual([])
  bench.clock.tick()
  bench.socket.open()
  expect(bench.socket.sent).toMatchObject([{ type: 'resume' }, { type: 'tool-output', output: 'late' }])
})

test('an answer that the log has shown is not said again', async () => {
  const bench = await opened({ conversationId: 'c1', onTool: () => 7 })
  void bench.stream.sendMessage({ message: 'x' })
  bench.socket.says(...asks(bench))
  await settled()
  const turn = { turnId: bench.socket.turnId(), conversationId: 'c1' }
  bench.socket.says({ type: 'tool-output', callId: 'k1', name: 'look', payload: 7, ...turn, seq: 4 })
  comeBack(bench)
  expect(bench.socket.said).toEqual(['resume'])
})

test('a refusal of what was said twice is hidden, any other is shown; the turn goes on', async () => {
  const bench = await opened({ conversationId: 'c1', onTool: () => 7 })
  const result = bench.stream.sendMessage({ message: 'x' })
  bench.socket.says(...asks(bench))
  await settled()
  comeBack(bench)
  const turn = { turnId: bench.sockets[0]!.turnId(), conversationId: 'c1' }
  const refusal = { type: 'error', code: 'conflict', message: 'answered already', retryable: false, ...turn }
  const shown = bench.events.length
  bench.socket.says(refusal)
  expect(bench.events).toHaveLength(shown)
  bench.socket.says(refusal)
  expect(bench.events.at(-1)).toMatchObject(refusal)
  bench.socket.says({ type: 'done', ...turn, seq: 4 })
  expect((await result).finishReason).toBe('stop')
})

test('a call is answered by hand, with the conversation of its turn; only the first answer counts', async () => {
  const bench = await opened({ conversationId: 'c1' })
  void bench.stream.sendMessage({ message: 'x' })
  void bench.stream.sendMessage({ message: 'y', conversationId: 'c2' })
  bench.socket.says(...asks(bench))
  const call = { turnId: bench.socket.turnId(), callId: 'k1' }
  bench.stream.sendToolOutput({ ...call, output: [1, undefined] })
  bench.stream.sendToolOutput({ ...call, output: 2 })
  expect(outputs(bench)).toEqual([{ type: 'tool-output', ...call, conversationId: 'c1', output: [1, null] }])
  expect(() => bench.stream.sendToolOutput({ ...call, output: 1n })).toThrow(TypeError)
  bench.stream.stop()
  expect(() => bench.stream.sendToolOutput({ ...call, output: 3 })).toThrow(
    'Cannot send tool output: socket already closed'
  )
})

test('an onEvent that answers leaves nothing to the handler', async () => {
  const onTool = vi.fn()
  const bench = await opened({
    conversationId: 'c1',
    onTool,
    onEvent: (event) => {
      if (event.type !== 'tool') return
      bench.stream.sendToolOutput({ turnId: event.turnId ?? '', callId: event.callId, output: 'by hand' })
    }
  })
  void bench.stream.sendMessage({ message: 'x' })
  bench.socket.says(...asks(bench))
  await settled()
  expect(onTool).not.toHaveBeenCalled()
  expect(outputs(bench)).toMatchObject([{ output: 'by hand' }])
})

test('a turn of another reader is not ours to answer by itself, but by hand it is', async () => {
  const onTool = vi.fn()
  const bench = await opened({ conversationId: 'c1', onTool })
  const turn = { turnId: 'theirs', conversationId: 'c1' }
  bench.socket.says({ type: 'tool', callId: 'k1', name: 'look', payload: 1, ...turn, seq: 1 })
  await settled()
  expect(onTool).not.toHaveBeenCalled()
  bench.socket.drop(1006)
  bench.stream.sendToolOutput({ turnId: 'theirs', callId: 'k1', output: 1 })
  bench.clock.tick()
  bench.socket.open()
  comeBack(bench)
  expect(outputs(bench)).toEqual([{ type: 'tool-output', ...turn, callId: 'k1', output: 1 }])
})

test('the answer of a handler to a turn that was cancelled, or is over, is not sent', async () => {
  let answerIt: (output: unknown) => void = () => undefined
  const bench = await opened({
    conversationId: 'c1',
    onTool: () => new Promise((resolve) => (answerIt = resolve))
  })
  void bench.stream.sendMessage({ message: 'x' })
  bench.socket.says(...asks(bench))
  bench.stream.cancel()
  answerIt('late')
  await settled()
  expect(bench.socket.said).toEqual(['message', 'cancel'])
})

test('a call without a name, of an older server, is shown and can not be answered', async () => {
  const onTool = vi.fn()
  const bench = await opened({ onTool })
  const result = bench.stream.sendMessage({ message: 'x' })
  bench.socket.says({ type: 'tool', name: 'look', payload: {} }, { type: 'done' })
  await result
  expect(bench.events[0]).toMatchObject({
    type: 'tool',
    callId: '',
    name: 'look',
    turnId: bench.socket.turnId()
  })
  expect(onTool).not.toHaveBeenCalled()
})
