// Addresses, the platform's own sockets, and the exports of the package.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { WebSocket as NodeSocket, WebSocketServer } from 'ws'
import * as client from '../../src/index.js'
import { restUrl, socketUrl } from '../../src/url.js'
import { FakeSocket } from './fake-stream.js'

afterEach(() => vi.unstubAllGlobals())

/** Never called: it compiles only if these sockets fit. */
export const factories: readonly client.SocketFactory[] = [
  (url) => new WebSocket(url),
  (url) => new NodeSocket(url),
  () => new FakeSocket(),
  async (url) => new NodeSocket(url)
]

test.each([
  ['ws://localhost:8000/ws/chat', 'ws://localhost:8000/ws/chat'],
  ['wss://example.org/a/ws?x=1#top', 'wss://example.org/a/ws?x=1'],
  ['http://localhost:8000', 'ws://localhost:8000/ws/chat'],
  ['https://example.org/', 'wss://example.org/ws/chat']
])('the socket of %s is %s', (backendUrl, url) => {
  expect(socketUrl(backendUrl)).toBe(url)
})

test('in a browser, an address may be relative to the page', () => {
  vi.stubGlobal('location', { href: 'https://host.example/ui/index.html' })
  expect(socketUrl('/ws/chat')).toBe('wss://host.example/ws/chat')
  expect(restUrl('', '/agents')).toBe('/agents')
})

test.each(['', 'nowhere', 'ftp://localhost/x'])('the address %j is refused by name', async (backendUrl) => {
  const opening = client.streamChat({ backendUrl, agentId: 'a', onEvent: () => undefined })
  await expect(opening).rejects.toThrow(`Invalid backendUrl: ${JSON.stringify(backendUrl)}`)
})

test('without a global WebSocket, the package ws is used', async () => {
  vi.stubGlobal('WebSocket', undefined)
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  server.on('connection', (socket) =>
    socket.on('message', () => {
      socket.send('{"type":"token","token":"hi"}')
      socket.send('{"type":"done"}')
    })
  )
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const stream = await client.streamChat({ backendUrl: `ws://127.0.0.1:${port}/ws/chat`, agentId: 'a' })
  expect(await stream.sendMessage({ message: 'x' })).toMatchObject({ text: 'hi', finishReason: 'stop' })
  stream.stop()
  await new Promise((resolve) => server.close(resolve))
})

test('stopping a socket of the package ws before it opens raises nothing', async () => {
  vi.stubGlobal('WebSocket', undefined)
  const opening = client.streamChat({ backendUrl: 'ws://127.0.0.1:1/ws/chat', agentId: 'a' })
  await expect(opening).rejects.toThrow('WebSocket closed before opening')
})

test("the platform's WebSocket comes first, and its constants are not touched", async () => {
  const made: FakeSocket[] = []
  vi.stubGlobal(
    'WebSocket',
    class extends FakeSocket {
      readonly url: string

      constructor(url: string) {
        super()
        this.url = url
        made.push(this)
        queueMicrotask(() => this.open())
      }
    }
  )
  await client.streamChat({ backendUrl: 'ws://localhost:8000/ws/chat', agentId: 'a' })
  expect(made).toMatchObject([{ url: 'ws://localhost:8000/ws/chat' }])
})

test('a factory may hand over a socket that is open already', async () => {
  const socket = Object.assign(new FakeSocket(), { readyState: 1 })
  const stream = await client.streamChat({
    backendUrl: 'ws://x/ws',
    agentId: 'a',
    socketFactory: () => Promise.resolve(socket)
  })
  void stream.sendMessage({ message: 'x' })
  expect(socket.sentTypes).toEqual(['message'])
})

test('the package hands out this and no more', () => {
  expect(Object.keys(client).toSorted()).toEqual([
    'ApiError',
    'ChatError',
    'DEFAULT_BASE',
    'deleteAgent',
    'getAgent',
    'keepaliveController',
    'listAgents',
    'listModels',
    'narratorFeed',
    'postNarratorMessage',
    'publishControllerEvents',
    'registerController',
    'releaseController',
    'streamChat',
    'updateAgent'
  ])
})
