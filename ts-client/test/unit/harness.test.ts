// The harness as a host's test uses it: scripted answers, tools, cuts, and recorded requests.
import { afterEach, expect, test } from 'vitest'
import {
  ChatError,
  deleteAgent,
  getAgent,
  listAgents,
  listModels,
  streamChat,
  updateAgent,
  type ChatEvent,
  type ChatStream,
  type StreamChatOptions
} from 'streaming-llm-client'
import { startSidecarHarness, type HarnessOptions, type SidecarHarness } from 'streaming-llm-client/testing'
import { peerServer } from '../../src/testing/ws-package.js'

const toEnd: (() => unknown)[] = []

afterEach(async () => {
  for (const end of toEnd.splice(0).reverse()) await end()
})

async function start(options: HarnessOptions = {}): Promise<SidecarHarness> {
  const harness = await startSidecarHarness(options)
  toEnd.push(harness.close)
  return harness
}

/** Opens a stream to a harness that records its events. */
async function talk(
  harness: SidecarHarness,
  options: Partial<StreamChatOptions> = {}
): Promise<ChatStream & { readonly events: ChatEvent[] }> {
  const events: ChatEvent[] = []
  const stream = await streamChat({
    backendUrl: harness.wsUrl,
    agentId: 'planner',
    conversationId: 'c1',
    reconnect: { initialDelayMs: 1 },
    onEvent: (event) => events.push(event),
    ...options
  })
  toEnd.push(stream.stop)
  return { ...stream, events }
}

const types = (events: readonly ChatEvent[]): string => events.map((event) => event.type).join(' ')

test('answers come in order, and after the last one an echo', async () => {
  const harness = await start({
    answers: [
      'One two  three\n',
      ['to', 'ken', 's'],
      ({ message, options }) => `${message} at ${options.temperature}`
    ]
  })
  const stream = await talk(harness, { options: { temperature: 0.5 } })
  const texts: string[] = []
  for (const message of ['a', 'b', 'c', 'd']) texts.push((await stream.sendMessage({ message })).text)
  expect(texts).toEqual(['One two  three\n', 'tokens', 'c at 0.5', 'echo: d'])
  const tokens = stream.events.flatMap((event) => (event.type === 'token' ? [event.token] : []))
  expect(tokens.slice(0, 7)).toEqual(['One', ' two', '  three', '\n', 'to', 'ken', 's'])
  expect(stream.events.map((event) => event.seq)).toEqual([
    undefined,
    ...stream.events.slice(1).map((_, index) => index + 1)
  ])
})

test('an answer that is longer than asked for ends there', async () => {
  const stream = await talk(await start({ answers: ['a b c'] }))
  const result = await stream.sendMessage({ message: 'x', options: { maxNewTokens: 2 } })
  expect(result).toMatchObject({ text: 'a b', finishReason: 'length', usage: { completionTokens: 2 } })
})

test('an error ends a turn with its code, after the tokens before it', async () => {
  const error = { code: 'upstream_failed', message: 'no route' } as const
  const stream = await talk(await start({ answers: [{ error, after: 'Well' }, { error: { code: 'gone' } }] }))
  const failure: unknown = await stream.sendMessage({ message: 'x' }).catch((reason: unknown) => reason)
  expect(failure).toBeInstanceOf(ChatError)
  expect(failure).toMatchObject({ ...error, retryable: true })
  expect(types(stream.events)).toBe('ready user started token error')
  await expect(stream.sendMessage({ message: 'y' })).rejects.toMatchObject({
    code: 'gone',
    retryable: false,
    message: 'scripted: gone'
  })
})

test('a script that throws ends the turn as internal', async () => {
  const answers = (): never => {
    throw new Error('not scripted')
  }
  const stream = await talk(await start({ answers }))
  await expect(stream.sendMessage({ message: 'x' })).rejects.toMatchObject({
    code: 'internal',
    message: 'not scripted'
  })
})

test('a tool is asked for, answered by the handler, and what follows depends on its output', async () => {
  const harness = await start({
    answers: [
      {
        before: 'Let me see.',
        tool: { name: 'add', payload: { a: 1, b: 2 } },
        next: (output) => ({ tool: { name: 'show' }, next: `It is ${JSON.stringify(output)}.` })
      }
    ]
  })
  const asked: unknown[] = []
  const stream = await talk(harness, {
    onTool: ({ name, payload, callId }) => {
      asked.push([name, payload, callId])
      return name === 'add' ? 3 : null
    }
  })
  const tools = [{ name: 'add' }, { name: 'show' }]
  const result = await stream.sendMessage({ message: 'x', tools })
  expect(result.text).toBe('Let me see.It is 3.')
  expect(asked).toEqual([
    ['add', { a: 1, b: 2 }, 'call-1'],
    ['show', null, 'call-2']
  ])
  const round = 'tool tool-output step-finish step-start'
  expect(types(stream.events)).toBe(
    `ready user started step-start token token token ${round} ${round} token token token step-finish done`
  )
  const [message, first] = harness.requests
  expect(message).toMatchObject({ kind: 'frame', socket: 1, frame: { type: 'message', tools } })
  expect(first).toMatchObject({ frame: { type: 'tool-output', callId: 'call-1', output: 3 } })
})

test('a tool that is answered by hand, after the connection was lost, is answered once', async () => {
  const harness = await start({ answers: [{ tool: { name: 'ask' }, next: 'Thanks.' }] })
  const stream = await talk(harness, {
    onEvent: (event) => {
      if (event.type !== 'tool') return
      harness.cutSockets()
      stream.sendToolOutput({ turnId: event.turnId ?? '', callId: event.callId, output: 'yes' })
    }
  })
  expect((await stream.sendMessage({ message: 'x' })).text).toBe('Thanks.')
  const frames = harness.requests.flatMap((request) =>
    request.kind === 'frame' ? [(request.frame as { type: string }).type] : []
  )
  expect(frames).toEqual(['message', 'resume', 'tool-output'])
})

test('an output of an unknown call is refused, and the turn goes on', async () => {
  const harness = await start({ answers: [{ tool: { name: 'ask' }, next: 'Thanks.' }] })
  const errors: ChatEvent[] = []
  const stream = await talk(harness, {
    onEvent: (event) => {
      if (event.type === 'error') {
        errors.push(event)
        stream.sendToolOutput({ turnId: event.turnId ?? '', callId: 'call-1', output: 1 })
      }
      if (event.type === 'tool') {
        stream.sendToolOutput({ turnId: event.turnId ?? '', callId: 'other', output: 1 })
      }
    }
  })
  expect((await stream.sendMessage({ message: 'x' })).text).toBe('Thanks.')
  expect(errors).toMatchObject([
    { code: 'invalid_request', message: expect.stringContaining('"other"') as unknown }
  ])
})

test('reasoning is shown and is no part of the answer', async () => {
  const stream = await talk(await start({ answers: [{ reasoning: 'Hm, well', next: 'Yes.' }] }))
  expect((await stream.sendMessage({ message: 'x' })).text).toBe('Yes.')
  expect(types(stream.events)).toBe('ready user started reasoning reasoning token done')
})

test.each([
  ['is cut', {}],
  ['goes away', { closeCode: 1001 }]
])('an answer whose connection %s comes whole', async (_, more) => {
  const harness = await start({ answers: [{ closeAfterTokens: 2, answer: 'a b c d', ...more }] })
  const states: string[] = []
  const stream = await talk(harness, { onConnection: (state) => states.push(state) })
  expect((await stream.sendMessage({ message: 'x' })).text).toBe('a b c d')
  expect(states).toEqual(['open', 'reconnecting', 'open'])
  // Exactly two tokens had come: `user` and `started` are 1 and 2.
  expect(harness.requests.at(-1)).toMatchObject({ socket: 2, frame: { type: 'resume', after: 4, own: true } })
})

test('a turn that is held runs until it is cancelled, and those behind it wait', async () => {
  const stream = await talk(await start({ answers: [{ hold: 'Once upon' }, 'Never.', 'Next.'] }))
  const held = stream.sendMessage({ message: 'a' })
  const waiting = stream.sendMessage({ message: 'b' })
  const next = stream.sendMessage({ message: 'c' })
  const turns = [held, waiting].map((turn) => turn.catch(() => undefined))
  await expect.poll(() => stream.events.filter((event) => event.type === 'user').length).toBe(3)
  const users = stream.events.filter((event) => event.type === 'user')
  stream.cancel(users[1]?.turnId)
  expect(await waiting).toMatchObject({ finishReason: 'cancelled', text: '' })
  stream.cancel(users[0]?.turnId)
  expect(await held).toMatchObject({ finishReason: 'cancelled', text: 'Once upon' })
  // The turn that was cancelled while it waited has used no answer of the script.
  expect((await next).text).toBe('Never.')
  await Promise.all(turns)
})

test('eight turns may wait, the next is refused as busy', async () => {
  const stream = await talk(await start({ answers: [{ hold: '' }] }))
  const turns = Array.from({ length: 10 }, (_, index) => stream.sendMessage({ message: `${index}` }))
  await expect(turns[9]).rejects.toMatchObject({ code: 'busy', retryable: true })
  stream.stop()
  expect(await turns[8]).toMatchObject({ finishReason: 'cancelled' })
})

test('with a delay between tokens, one can cancel in the middle', async () => {
  const harness = await start({ answers: ['word '.repeat(5000)], tokenDelayMs: 1 })
  const stream = await talk(harness, {
    onEvent: (event) => {
      if (event.type === 'token') stream.cancel(event.turnId)
    }
  })
  const { finishReason, text } = await stream.sendMessage({ message: 'x', options: { maxNewTokens: 8192 } })
  expect(finishReason).toBe('cancelled')
  expect(text.startsWith('word')).toBe(true)
})

test('agents and models are served, and everything that was asked is kept in order', async () => {
  const scribe = { id: 'scribe', name: 'Scribe', system_prompt: 'You write.', markdown_context: '' }
  const harness = await start({ agents: [scribe] })
  expect(await listAgents(harness.baseUrl)).toEqual([scribe])
  const renamed = { ...scribe, name: 'Writer' }
  expect(await updateAgent(renamed, harness.baseUrl, { apiKey: 'secret' })).toEqual(renamed)
  expect(await getAgent('scribe', harness.baseUrl)).toEqual(renamed)
  await deleteAgent('scribe', harness.baseUrl)
  await expect(getAgent('scribe', harness.baseUrl)).rejects.toMatchObject({ code: 'agent_not_found' })
  expect(await listModels(harness.baseUrl)).toEqual({
    defaultModel: 'scripted',
    models: [{ model: 'scripted', driver: 'local', allowed: true, available: true, loaded: true }]
  })
  for (const path of ['/healthz', '/readyz']) expect((await fetch(harness.baseUrl + path)).status).toBe(200)
  expect(
    harness.requests.map((request) => (request.kind === 'http' ? `${request.method} ${request.path}` : ''))
  ).toEqual([
    'GET /agents',
    'PUT /agents/scribe',
    'GET /agents/scribe',
    'DELETE /agents/scribe',
    'GET /agents/scribe',
    'GET /models',
    'GET /healthz',
    'GET /readyz'
  ])
  const { id: _, ...body } = renamed
  expect(harness.requests[1]).toMatchObject({ body, headers: { authorization: 'Bearer secret' } })
})

test('a model that is asked for must be there and allowed', async () => {
  const models = ['small', 'ollama:big'].map((model) => ({
    model,
    driver: 'local',
    allowed: true,
    available: true
  }))
  const stream = await talk(await start({ models }))
  await stream.sendMessage({ message: 'x', options: { model: 'ollama:big' } })
  await stream.sendMessage({ message: 'x' })
  const started = stream.events.flatMap((event) => (event.type === 'started' ? [event.model] : []))
  expect(started).toEqual(['ollama:big', 'small'])
  await expect(stream.sendMessage({ message: 'x', options: { model: 'huge' } })).rejects.toMatchObject({
    code: 'invalid_request'
  })
})

test('refuseNext refuses the next requests', async () => {
  const harness = await start()
  harness.refuseNext('busy', 'internal')
  await expect(listAgents(harness.baseUrl)).rejects.toMatchObject({ status: 429, code: 'busy' })
  await expect(listAgents(harness.baseUrl)).rejects.toMatchObject({ status: 500, code: 'internal' })
  expect(await listAgents(harness.baseUrl)).toHaveLength(3)
})

test('close ends sockets, held turns and waiting requests, and may be called twice', async () => {
  const harness = await start({
    answers: [{ hold: 'a' }],
    relay: { answers: [{ hang: true }], builtinController: true }
  })
  const stream = await talk(harness, { reconnect: false })
  const held = stream.sendMessage({ message: 'x' })
  await expect.poll(() => types(stream.events)).toContain('token')
  const hanging = fetch(`${harness.baseUrl}/narrator/messages`, {
    method: 'POST',
    body: JSON.stringify({ workspaceId: 'w', message: 'x' })
  }).catch(() => undefined)
  await expect.poll(() => harness.requests.at(-1)?.kind).toBe('http')
  await Promise.all([harness.close(), harness.close()])
  await hanging
  expect((await held).finishReason).toBe('cancelled')
})

test('without the package ws, the error names it', async () => {
  const load = (): Promise<never> => Promise.reject(new Error('Cannot find package'))
  await expect(peerServer(1, load)).rejects.toThrow('needs the package "ws": npm install --save-dev ws')
})
