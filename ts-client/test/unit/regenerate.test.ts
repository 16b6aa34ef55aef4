// Answering a turn's message again, editing it, and branching.
import { afterEach, expect, test } from 'vitest'
import { streamChat } from '../../src/index.js'
import { startSidecarHarness, type SidecarHarness } from '../../src/testing/index.js'
import { answer, openStream } from './fake-stream.js'

const toEnd: (() => unknown)[] = []

afterEach(async () => {
  for (const end of toEnd.splice(0).reverse()) await end()
})

async function talk(): Promise<{
  readonly harness: SidecarHarness
  readonly stream: Awaited<ReturnType<typeof streamChat>>
}> {
  const harness = await startSidecarHarness()
  toEnd.push(harness.close)
  const stream = await streamChat({
    backendUrl: harness.wsUrl,
    agentId: 'planner',
    onEvent: () => undefined
  })
  toEnd.push(stream.stop)
  return { harness, stream }
}

test('regenerate says which turn, names the new one, and resolves as a message does', async () => {
  const { stream, socket } = await openStream({ conversationId: 'c1', options: { topK: 3 } })
  const result = stream.regenerate({ turnId: 't1', options: { temperature: 1 } })
  const newTurnId = String(socket.last['newTurnId'])
  expect(socket.sent).toEqual([
    {
      type: 'regenerate',
      turnId: 't1',
      newTurnId,
      conversationId: 'c1',
      options: { topK: 3, temperature: 1 }
    }
  ])
  socket.serverSends(...answer({ turnId: newTurnId, conversationId: 'c1' }, ['Hel', 'lo']))
  expect(await result).toMatchObject({ turnId: newTurnId, text: 'Hello', finishReason: 'stop' })
  void stream.sendMessage({ message: 'next' })
  expect(socket.last).toMatchObject({ message: 'next', conversationId: 'c1', agentId: 'planner' })
})

test('a first frame that regenerates carries the key and binds nothing', async () => {
  const { stream, socket } = await openStream({ apiKey: 'secret' })
  void stream.regenerate({ turnId: 't1', options: { topK: 3 } })
  void stream.sendMessage({ message: 'next' })
  expect(socket.sent).toMatchObject([{ type: 'regenerate', apiKey: 'secret' }, { type: 'message' }])
})

test('an option of a first message does not reach the turn that is made again', async () => {
  const { stream, socket } = await openStream()
  void stream.sendMessage({ message: 'one', options: { topK: 3 } })
  void stream.regenerate({ turnId: socket.turnId() })
  expect(socket.sentTypes).toEqual(['message', 'hello', 'regenerate'])
})

test('a refusal names the new turn, and ends its promise', async () => {
  const { stream, socket } = await openStream({ conversationId: 'c1' })
  const result = stream.regenerate({ turnId: 't1' })
  const error = { type: 'error', code: 'conversation_not_found', message: 'no such turn', retryable: false }
  socket.serverSends({ ...error, turnId: socket.last['newTurnId'], conversationId: 'c1' })
  await expect(result).rejects.toMatchObject({ code: 'conversation_not_found' })
})

test('one that may not have arrived is sent again under the same name', async () => {
  const { stream, sockets, clock } = await openStream({ conversationId: 'c1' })
  const result = stream.regenerate({ turnId: 't1' })
  sockets[0]!.drop(1006)
  clock.tick()
  sockets[1]!.open()
  expect(sockets[1]!.sent).toEqual(sockets[0]!.sent)
  const turnId = String(sockets[1]!.last['newTurnId'])
  sockets[1]!.serverSends(...answer({ turnId, conversationId: 'c1' }, ['x']))
  expect((await result).text).toBe('x')
})

test('a signal cancels it, and after stop it throws at the call itself', async () => {
  const { stream, socket } = await openStream({ conversationId: 'c1' })
  const signal = AbortSignal.abort()
  expect(await stream.regenerate({ turnId: 't1', signal })).toMatchObject({ finishReason: 'cancelled' })
  expect(socket.sent).toEqual([])
  stream.stop()
  expect(() => stream.regenerate({ turnId: 't1' })).toThrow('Cannot regenerate: socket already closed')
})

test('an edit and a branch name their turn', async () => {
  const { stream, socket } = await openStream()
  void stream.sendMessage({ message: 'uno', editTurnId: 't1' })
  expect(socket.last).toMatchObject({ message: 'uno', editTurnId: 't1' })
  void stream.sendMessage({ message: 'due', parentTurnId: 't1' })
  expect(socket.last).toMatchObject({ message: 'due', parentTurnId: 't1' })
  void stream.sendMessage({ message: 'tre' })
  expect(socket.last).not.toHaveProperty('parentTurnId')
  expect(socket.last).not.toHaveProperty('editTurnId')
})

test('the harness makes a tree of them', async () => {
  const { harness, stream } = await talk()
  const first = await stream.sendMessage({ message: 'one' })
  const again = await stream.regenerate({ turnId: first.turnId })
  expect(again.text).toBe(first.text)
  const edited = await stream.sendMessage({ message: 'uno', editTurnId: first.turnId })
  const follows = await stream.sendMessage({ message: 'two' })
  const branch = await stream.sendMessage({ message: 'due', parentTurnId: first.turnId })
  const { conversationId } = stream
  const response = await fetch(`${harness.baseUrl}/conversations/${conversationId}`)
  const { turns } = (await response.json()) as { readonly turns: readonly Record<string, unknown>[] }
  expect(turns.map((turn) => [turn['turnId'], turn['parentTurnId']])).toEqual([
    [first.turnId, null],
    [again.turnId, null],
    [edited.turnId, null],
    [follows.turnId, edited.turnId],
    [branch.turnId, first.turnId]
  ])
  await expect(stream.regenerate({ turnId: 'nobody' })).rejects.toMatchObject({
    code: 'conversation_not_found'
  })
  await expect(stream.sendMessage({ message: 'x', editTurnId: 'nobody' })).rejects.toMatchObject({
    code: 'invalid_request'
  })
  const both = { message: 'x', editTurnId: first.turnId, parentTurnId: first.turnId }
  await expect(stream.sendMessage(both)).rejects.toMatchObject({ code: 'invalid_request' })
})
