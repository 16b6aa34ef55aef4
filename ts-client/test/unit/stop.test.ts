// Ending a stream or a turn: stop, cancel, detach, an abort signal.
import { expect, test } from 'vitest'
import { answer, startStream, openStream } from './fake-stream.js'

test('stop closes 1000 and resolves what is open as cancelled, with the text so far', async () => {
  const { stream, socket, events } = await openStream({ conversationId: 'c1' })
  const first = stream.sendMessage({ message: 'one' })
  const second = stream.sendMessage({ message: 'two' })
  socket.serverSends(
    ...answer({ turnId: socket.turnId(), conversationId: 'c1' }, ['par', 'tial']).slice(0, -1)
  )
  stream.stop()
  stream.stop()
  expect(socket.closedWith).toEqual({ code: 1000 })
  expect(await first).toMatchObject({ finishReason: 'cancelled', text: 'partial', conversationId: 'c1' })
  expect(await second).toMatchObject({ finishReason: 'cancelled', text: '' })
  const received = events.length
  socket.serverSends({ type: 'token', token: 'late' })
  socket.drop(1000)
  expect(events).toHaveLength(received)
})

test('after stop, sendMessage throws at the call itself', async () => {
  const { stream, sockets, clock } = await openStream()
  stream.stop()
  expect(() => stream.sendMessage({ message: 'x' })).toThrow('Cannot send message: socket already closed')
  expect(sockets).toHaveLength(1)
  expect(clock.delays).toEqual([])
})

test('a stream that is stopped from onEvent at its last event has ended well', async () => {
  const fixture = await openStream({
    onEvent: (event) => {
      if (event.type === 'done') fixture.stream.stop()
    }
  })
  const result = fixture.stream.sendMessage({ message: 'x' })
  fixture.socket.serverSends({ type: 'token', token: 'x' }, { type: 'done' })
  expect(await result).toMatchObject({ finishReason: 'stop', text: 'x' })
})

test('stop while the next socket is still connecting ends that one too', async () => {
  const { stream, sockets, clock } = await openStream()
  const result = stream.sendMessage({ message: 'x' })
  sockets[0]!.drop(1006)
  clock.tick()
  expect(sockets).toHaveLength(2)
  stream.stop()
  expect(sockets[1]!.closedWith).toEqual({ code: 1000 })
  sockets[1]!.open()
  expect(sockets[1]!.sent).toEqual([])
  expect(await result).toMatchObject({ finishReason: 'cancelled' })
  expect(clock.delays).toEqual([])
})

test('stop while waiting to reconnect waits no longer', async () => {
  const { stream, socket, sockets, clock } = await openStream()
  const result = stream.sendMessage({ message: 'x' })
  socket.drop(1006)
  stream.stop()
  expect(clock.delays).toEqual([])
  expect(sockets).toHaveLength(1)
  expect(await result).toMatchObject({ finishReason: 'cancelled' })
})

test.each([
  ['a close', (fixture: ReturnType<typeof startStream>) => fixture.socket.drop(1006)],
  ['a close without an event', (fixture: ReturnType<typeof startStream>) => fixture.socket.drop()],
  ['an error', (fixture: ReturnType<typeof startStream>) => fixture.socket.onerror?.({ message: 'refused' })],
  ['silence', (fixture: ReturnType<typeof startStream>) => fixture.clock.tick()]
])('%s before the opening rejects, and nothing is tried again', async (_, fail) => {
  const fixture = startStream()
  fail(fixture)
  await expect(fixture.opening).rejects.toThrow('WebSocket closed before opening')
  expect(fixture.clock.delays).toEqual([])
  expect(fixture.sockets).toHaveLength(1)
})

test.each([
  [
    'throws',
    () => {
      throw new Error('no sockets today')
    }
  ],
  ['rejects', () => Promise.reject(new Error('no sockets today'))]
])('a factory that %s rejects with its reason', async (_, socketFactory) => {
  const failure: unknown = await startStream({ socketFactory }).opening.catch((reason: unknown) => reason)
  expect(failure).toMatchObject({
    message: 'WebSocket closed before opening',
    cause: { message: 'no sockets today' }
  })
})

test('cancel names the turn, and its promise resolves at the end that the server sends', async () => {
  const { stream, socket } = await openStream({ conversationId: 'c1' })
  const result = stream.sendMessage({ message: 'x' })
  const turnId = socket.turnId()
  stream.cancel(turnId)
  expect(socket.last).toEqual({ type: 'cancel', turnId, conversationId: 'c1' })
  socket.serverSends(
    { type: 'token', token: 'a', turnId },
    { type: 'done', finishReason: 'cancelled', turnId }
  )
  expect(await result).toMatchObject({ finishReason: 'cancelled', text: 'a' })
  stream.cancel()
  expect(socket.last).toEqual({ type: 'cancel' })
  void stream.sendMessage({ message: 'still open' })
  expect(socket.last).toMatchObject({ message: 'still open' })
})

test('cancel on a socket that has sent nothing sends nothing', async () => {
  const { stream, socket } = await openStream()
  stream.cancel()
  expect(socket.sent).toEqual([])
})

test('a signal cancels its own turn; one that has fired already sends nothing', async () => {
  const { stream, socket } = await openStream()
  const controller = new AbortController()
  const result = stream.sendMessage({ message: 'x', signal: controller.signal })
  controller.abort()
  expect(socket.last).toMatchObject({ type: 'cancel', turnId: socket.turnId() })
  socket.serverSends({ type: 'done', finishReason: 'cancelled', turnId: socket.turnId() })
  expect(await result).toMatchObject({ finishReason: 'cancelled' })
  const sent = socket.sent.length
  const never = await stream.sendMessage({ message: 'y', signal: controller.signal })
  expect(never).toMatchObject({ finishReason: 'cancelled', text: '' })
  expect(socket.sent).toHaveLength(sent)
})

test('a signal that fires after the end does nothing', async () => {
  const { stream, socket } = await openStream()
  const controller = new AbortController()
  const result = stream.sendMessage({ message: 'x', signal: controller.signal })
  socket.serverSends({ type: 'done' })
  await result
  controller.abort()
  expect(socket.sentTypes).toEqual(['message'])
})

test('detach closes 4000 and leaves the turn running', async () => {
  const { stream, socket, sockets } = await openStream()
  const result = stream.sendMessage({ message: 'x' })
  stream.detach()
  expect(socket.closedWith).toEqual({ code: 4000 })
  await expect(result).rejects.toMatchObject({ code: 'interrupted', retryable: true })
  expect(() => stream.sendMessage({ message: 'y' })).toThrow('Cannot send message: socket already closed')
  stream.stop()
  expect(sockets).toHaveLength(1)
})
