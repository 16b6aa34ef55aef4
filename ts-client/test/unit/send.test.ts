// Sending messages, and the results of their promises.
import { expect, test } from 'vitest'
import { ChatError } from '../../src/index.js'
import { answer, startStream, openStream } from './fake-stream.js'

test('opens, sends at once in both spellings, and resolves at the end of the turn', async () => {
  const { stream, socket, events } = await openStream({ options: { temperature: 0.2, maxNewTokens: 400 } })
  expect(socket.sent).toEqual([])

  const result = stream.sendMessage({ message: 'Hi', options: { temperature: 0.1 } })
  const turnId = socket.turnId()
  expect(socket.sent).toEqual([
    {
      type: 'message',
      turnId,
      agentId: 'planner',
      agent_id: 'planner',
      conversationId: stream.conversationId,
      conversation_id: stream.conversationId,
      message: 'Hi',
      user_message: 'Hi',
      options: { temperature: 0.1, maxNewTokens: 400 }
    }
  ])

  const usage = { promptTokens: 3 }
  const timings = { decodeMs: 4 }
  const turn = { turnId, conversationId: stream.conversationId }
  const frames = answer(turn, ['Hel', 'lo']).slice(0, -1)
  socket.serverSends(...frames, { type: 'done', finishReason: 'length', usage, timings, ...turn, seq: 5 })
  expect(await result).toEqual({ ...turn, text: 'Hello', finishReason: 'length', usage, timings })
  expect(events.map((event) => event.type)).toEqual(['user', 'started', 'token', 'token', 'done'])
})

test('a server that says only token and done answers message after message', async () => {
  const { stream, socket, events } = await openStream({ conversationId: 'c1' })
  const first = stream.sendMessage({ message: 'one' })
  const second = stream.sendMessage({ message: 'two' })
  socket.serverSends(
    { type: 'token', token: 'a' },
    { type: 'done' },
    { type: 'token', token: 'b' },
    { type: 'done' }
  )
  const empty = { usage: undefined, timings: undefined, finishReason: 'stop', conversationId: 'c1' }
  expect(await first).toEqual({ ...empty, text: 'a', turnId: socket.turnId(0) })
  expect(await second).toEqual({ ...empty, text: 'b', turnId: socket.turnId(1) })
  expect(events[2]).toEqual({ type: 'token', token: 'b', conversationId: 'c1', turnId: socket.turnId(1) })
})

test('turns in flight are distinguished by their ids', async () => {
  const { stream, socket } = await openStream()
  const first = stream.sendMessage({ message: 'one', conversationId: 'c1' })
  const second = stream.sendMessage({ message: 'two', conversationId: 'c2', agentId: 'reviewer' })
  expect(socket.last).toMatchObject({ agentId: 'reviewer', agent_id: 'reviewer', conversationId: 'c2' })
  const one = answer({ turnId: socket.turnId(0), conversationId: 'c1' }, ['1', '1'])
  const two = answer({ turnId: socket.turnId(1), conversationId: 'c2' }, ['2', '2'], 40)
  for (const [index, frame] of one.entries()) socket.serverSends(two[index]!, frame)
  expect((await first).text).toBe('11')
  expect((await second).text).toBe('22')
})

test('a message without a conversation goes on with the last one', async () => {
  const { stream, socket } = await openStream()
  void stream.sendMessage({ message: 'one', conversationId: 'c7' })
  void stream.sendMessage({ message: 'two' })
  expect(socket.last).toMatchObject({ conversationId: 'c7', conversation_id: 'c7', agentId: 'planner' })
  expect(stream.conversationId).toBe('c7')
})

test('a server that names the conversation itself is followed, in either spelling', async () => {
  const { stream, socket } = await openStream()
  const result = stream.sendMessage({ message: 'one' })
  socket.serverSends({ type: 'token', token: 'x', conversation_id: 'theirs' }, { type: 'done' })
  expect((await result).conversationId).toBe('theirs')
  void stream.sendMessage({ message: 'two' })
  expect(socket.last).toMatchObject({ conversationId: 'theirs', conversation_id: 'theirs' })
})

test("a turn's error reaches onEvent and rejects; the stream goes on", async () => {
  const { stream, socket, events } = await openStream()
  const result = stream.sendMessage({ message: 'one' })
  const error = { type: 'error', code: 'busy', message: 'too many turns wait', retryable: true }
  socket.serverSends({ ...error, turnId: socket.turnId() })
  const caught: unknown = await result.catch((reason: unknown) => reason)
  expect(caught).toBeInstanceOf(ChatError)
  expect(caught).toMatchObject({ code: 'busy', retryable: true, message: 'too many turns wait' })
  expect(events).toMatchObject([error])
  void stream.sendMessage({ message: 'again' })
  expect(socket.last).toMatchObject({ message: 'again' })
})

test.each([
  [{ message: 'boom' }, { code: 'internal', message: 'boom', retryable: false }],
  [{ code: 'busy' }, { code: 'busy', retryable: true }],
  [
    { code: 'from_the_future', message: 'x', retryable: true },
    { code: 'internal', message: 'x', retryable: true }
  ]
])('an error that says only %j rejects', async (fields, expected) => {
  const { stream, socket } = await openStream()
  const result = stream.sendMessage({ message: 'one' })
  socket.serverSends({ type: 'error', ...fields })
  await expect(result).rejects.toMatchObject(expected)
})

test('a rejection that is not awaited is not unhandled', async () => {
  const unhandled: unknown[] = []
  const note = (reason: unknown): number => unhandled.push(reason)
  process.on('unhandledRejection', note)
  const { stream, socket } = await openStream()
  void stream.sendMessage({ message: 'one' })
  void stream.sendMessage({ message: 'two', options: { temperature: NaN } })
  socket.serverSends({ type: 'error', message: 'boom' })
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
})

test('an option that JSON can not say is refused by name, and nothing is sent', async () => {
  const { stream, socket } = await openStream()
  await expect(stream.sendMessage({ message: 'x', options: { topP: Infinity } })).rejects.toMatchObject({
    code: 'invalid_request',
    message: 'Invalid option topP: Infinity is not a finite number'
  })
  expect(socket.sent).toEqual([])
  await expect(startStream({ options: { temperature: NaN } }).opening).rejects.toThrow(
    'Invalid option temperature'
  )
})

test("an option of the first message alone does not become the stream's", async () => {
  const { stream, socket } = await openStream({ options: { maxNewTokens: 400 } })
  void stream.sendMessage({ message: 'one', options: { temperature: 0.1 } })
  void stream.sendMessage({ message: 'two', options: { topK: 3 } })
  expect(socket.sentTypes).toEqual(['message', 'hello', 'message'])
  const { agentId, conversationId } = socket.sent[0] ?? {}
  expect(socket.sent[1]).toEqual({ type: 'hello', agentId, conversationId, options: { maxNewTokens: 400 } })
})

test('an older server, which knows no hello, is never sent one for the sake of an option', async () => {
  const { stream, socket } = await openStream()
  const first = stream.sendMessage({ message: 'one', options: { temperature: 0.1 } })
  socket.serverSends({ type: 'token', token: 'x' }, { type: 'done' })
  expect((await first).text).toBe('x')
  void stream.sendMessage({ message: 'two' })
  expect(socket.sentTypes).toEqual(['message', 'message'])
})

test('null options are sent, undefined ones are not', async () => {
  const { stream, socket } = await openStream({ options: { temperature: 0.2, topK: 3 } })
  const options = { temperature: null, topK: undefined } as unknown as { readonly temperature: null }
  void stream.sendMessage({ message: 'x', options })
  expect(socket.last['options']).toEqual({ temperature: null, topK: 3 })
})

test('the first frame carries the key, no other does', async () => {
  const { stream, socket } = await openStream({ apiKey: 'secret' })
  void stream.sendMessage({ message: 'one' })
  void stream.sendMessage({ message: 'two' })
  expect(socket.sent.map((frame) => frame['apiKey'])).toEqual(['secret', undefined])
})

test('an eager handshake sends a hello at once', async () => {
  const { stream, socket, events } = await openStream({
    handshake: 'eager',
    options: { topK: 5 },
    apiKey: 'secret'
  })
  const hello = {
    type: 'hello',
    agentId: 'planner',
    conversationId: stream.conversationId,
    options: { topK: 5 }
  }
  expect(socket.sent).toEqual([{ ...hello, apiKey: 'secret' }])
  socket.serverSends({
    type: 'ready',
    protocol: 1,
    agentId: 'planner',
    model: 'm',
    limits: {},
    lastSeq: 0,
    bootId: 'b'
  })
  expect(events.map((event) => event.type)).toEqual(['ready'])
})
