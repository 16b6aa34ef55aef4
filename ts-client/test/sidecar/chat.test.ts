// Chats with the real sidecar and its real model.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { deleteAgent, getAgent, listAgents, streamChat, updateAgent } from '../../src/index.js'
import type { ChatEvent, ChatStream, StreamChatOptions } from '../../src/index.js'
import type { Conversation } from '../../src/generated/protocol.js'
import { Sidecar, until } from './sidecar.js'

let sidecar: Sidecar

beforeAll(async () => {
  sidecar = await Sidecar.start()
})

afterAll(() => sidecar?.remove())

/** Opens a stream that records its events, and that fails on an unknown one. */
async function talk(
  options: Partial<StreamChatOptions> = {}
): Promise<{ readonly stream: ChatStream; readonly events: readonly ChatEvent[] }> {
  const events: ChatEvent[] = []
  const stream = await streamChat({
    backendUrl: sidecar.socketUrl,
    agentId: 'planner',
    options: { temperature: 0, maxNewTokens: 24 },
    onUnknownEvent: (frame) => {
      throw new Error(`unknown event: ${JSON.stringify(frame)}`)
    },
    ...options,
    onEvent: (event) => {
      events.push(event)
      options.onEvent?.(event)
    }
  })
  return { stream, events }
}

/** Checks that every logged event follows the one before. */
function expectNoGap(events: readonly ChatEvent[]): void {
  let last: number | undefined
  for (const event of events) {
    if (event.seq === undefined) continue
    const first = event.type === 'token' ? (event.firstSeq ?? event.seq) : event.seq
    if (last !== undefined) expect(first).toBe(last + 1)
    last = event.seq
  }
}

const read = (id: string): Promise<Conversation> => sidecar.get<Conversation>(`/conversations/${id}`)

test('agents are listed, written, read and deleted', async () => {
  const agents = await listAgents(sidecar.base)
  expect(agents.map((agent) => agent.id)).toEqual(
    expect.arrayContaining(['controller', 'planner', 'researcher'])
  )
  const scribe = { id: 'scribe', name: 'Scribe', system_prompt: 'You write.', markdown_context: '' }
  expect(await updateAgent(scribe, sidecar.base)).toMatchObject(scribe)
  expect(await getAgent('scribe', sidecar.base)).toMatchObject(scribe)
  await deleteAgent('scribe', sidecar.base)
  await expect(getAgent('scribe', sidecar.base)).rejects.toMatchObject({
    message: 'Agent not found',
    status: 404,
    code: 'agent_not_found'
  })
})

test('several turns of one conversation, in order and without a gap', async () => {
  const { stream, events } = await talk()
  const results = await Promise.all([
    stream.sendMessage({ message: 'Name a colour.' }),
    stream.sendMessage({ message: 'And another one.', options: { maxNewTokens: 8 } }),
    stream.sendMessage({ message: 'Which did you name first?' })
  ])
  stream.stop()
  expectNoGap(events)
  for (const result of results) {
    const tokens = events.filter((event) => event.type === 'token' && event.turnId === result.turnId)
    expect(tokens.map((event) => (event.type === 'token' ? event.token : '')).join('')).toBe(result.text)
    expect(result.conversationId).toBe(stream.conversationId)
    expect(result.usage?.completionTokens).toBeGreaterThan(0)
    expect(result.timings).toBeDefined()
  }
  const { turns } = await read(stream.conversationId)
  expect(turns.map((turn) => turn.turnId)).toEqual(results.map((result) => result.turnId))
  expect(turns.map((turn) => turn.answerText)).toEqual(results.map((result) => result.text))
  expect(turns.map((turn) => turn.state)).toEqual(['done', 'done', 'done'])
})

test('a turn is made again and edited, each beside the first', async () => {
  const { stream, events } = await talk()
  const first = await stream.sendMessage({ message: 'Name a colour.' })
  const again = await stream.regenerate({ turnId: first.turnId, options: { temperature: 1, seed: 7 } })
  const edited = await stream.sendMessage({ message: 'Name an animal.', editTurnId: first.turnId })
  const branch = await stream.sendMessage({ message: 'And another one.', parentTurnId: first.turnId })
  await expect(stream.regenerate({ turnId: 'nobody' })).rejects.toMatchObject({
    code: 'conversation_not_found'
  })
  stream.stop()
  expectNoGap(events)
  const { turns } = await read(stream.conversationId)
  const tree = turns.map(({ turnId, parentTurnId, userText, answerText }) => [
    turnId,
    parentTurnId,
    userText,
    answerText
  ])
  expect(tree).toEqual([
    [first.turnId, null, 'Name a colour.', first.text],
    [again.turnId, null, 'Name a colour.', again.text],
    [edited.turnId, null, 'Name an animal.', edited.text],
    [branch.turnId, first.turnId, 'And another one.', branch.text]
  ])
})

test('cancel ends one answer and keeps the stream', async () => {
  const { stream } = await talk({
    onEvent: (event) => {
      if (event.type === 'token') stream.cancel(event.turnId)
    }
  })
  const long = await stream.sendMessage({ message: 'Write a long story.', options: { maxNewTokens: 2000 } })
  expect(long.finishReason).toBe('cancelled')
  expect(long.text).not.toBe('')
  stream.cancel()
  const { turns } = await read(stream.conversationId)
  expect(turns).toMatchObject([{ state: 'cancelled', answerText: long.text }])
  stream.stop()
})

test('stop cancels what runs and what waits, here and on the server', async () => {
  let hasToken = false
  const { stream } = await talk({ onEvent: (event) => (hasToken ||= event.type === 'token') })
  const options = { maxNewTokens: 2000 }
  const running = stream.sendMessage({ message: 'Write a long story.', options })
  const waiting = stream.sendMessage({ message: 'And another.', options })
  await until('a token', () => hasToken)
  stream.stop()
  expect(await running).toMatchObject({ finishReason: 'cancelled' })
  expect(await waiting).toMatchObject({ finishReason: 'cancelled', text: '' })
  expect(() => stream.sendMessage({ message: 'x' })).toThrow('Cannot send message: socket already closed')
  await until('both turns are cancelled', async () => {
    const { turns } = await read(stream.conversationId)
    return turns.length === 2 && turns.every((turn) => turn.state === 'cancelled')
  })
})

test('detach leaves the turn running to its end', async () => {
  let hasToken = false
  const { stream } = await talk({ onEvent: (event) => (hasToken ||= event.type === 'token') })
  const left = stream.sendMessage({ message: 'Count to fifty.', options: { maxNewTokens: 60 } })
  await until('a token', () => hasToken)
  stream.detach()
  await expect(left).rejects.toMatchObject({ code: 'interrupted' })
  await until('the turn is done', async () => (await read(stream.conversationId)).turns[0]?.state === 'done')
})

test('an answer whose connection is cut again and again is whole', async () => {
  const sockets: WebSocket[] = []
  const { stream, events } = await talk({
    reconnect: { initialDelayMs: 1 },
    socketFactory: (url) => {
      const socket = new WebSocket(url)
      sockets.push(socket)
      return socket
    },
    onEvent: (event) => {
      // Cut in the middle of every connection but the fifth.
      if (event.type === 'token' && sockets.length < 5) sockets.at(-1)?.terminate()
    }
  })
  const result = await stream.sendMessage({
    message: 'Tell me about rivers.',
    options: { maxNewTokens: 120 }
  })
  stream.stop()
  expect(sockets.length).toBeGreaterThan(1)
  expectNoGap(events)
  const { turns } = await read(stream.conversationId)
  expect(turns).toMatchObject([{ state: 'done', answerText: result.text }])
})

test('an eager handshake is answered by ready', async () => {
  const { stream, events } = await talk({ handshake: 'eager' })
  await until('ready', () => events.length > 0)
  expect(events).toMatchObject([{ type: 'ready', protocol: 1, agentId: 'planner', lastSeq: 0 }])
  stream.stop()
})

test.each([
  [{ agentId: 'nobody' }, {}, 'agent_not_found'],
  [{}, { temperature: -1 }, 'invalid_request'],
  [{}, { colour: 'red' } as object, 'invalid_request']
])(
  'a message with %j and options %j is refused, first and later, and others are answered',
  async (more, options, code) => {
    const { stream } = await talk()
    for (let round = 0; round < 2; round += 1) {
      const refused = stream.sendMessage({ message: 'x', ...more, options })
      await expect(refused).rejects.toMatchObject({ code, retryable: false })
      const result = await stream.sendMessage({ message: 'Say yes.', options: { maxNewTokens: 4 } })
      expect(result.text).not.toBe('')
    }
    stream.stop()
  }
)

test('a message beside others that are refused is answered', async () => {
  const { stream, events } = await talk()
  const good = stream.sendMessage({ message: 'Say yes.' })
  await until('the first message is taken', () => events.some((event) => event.type === 'user'))
  const bad = stream.sendMessage({ message: 'x', options: { topP: 7 } })
  const empty = stream.sendMessage({ message: '' })
  await expect(bad).rejects.toMatchObject({ code: 'invalid_request' })
  await expect(empty).rejects.toMatchObject({ code: 'invalid_request' })
  expect((await good).finishReason).not.toBe('cancelled')
  stream.stop()
})
