// Conformance tests of the protocol: the real sidecar and the harness have to pass the same ones.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Answer, ScriptedMessage } from '../../src/testing/index.js'
import type { Conversation, EventPage } from '../../src/generated/protocol.js'
import { kinds, Peer, textOf, type ReceivedFrame } from './peer.js'
import { until } from './sidecar.js'

/** A server under test. */
export interface Target {
  readonly base: string
  readonly socketUrl: string
  readonly end: () => Promise<unknown>
}

/** Answers as a model would: briefly, or with a long story that never ends. */
export function answerLikeAModel({ message }: ScriptedMessage): Answer {
  return message === LONG ? { hold: 'Once upon a time there was' } : 'Yes, of course.'
}

const LONG = 'Write a long story.'
const SHORT = { temperature: 0, maxNewTokens: 12 }

/** The required fields of each frame, and their types. */
const SHAPES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  ready: { protocol: 'number', model: 'string', limits: 'object', lastSeq: 'number', bootId: 'string' },
  user: {
    text: 'string',
    agentId: 'string',
    agentHash: 'string',
    options: 'object',
    seed: 'number',
    parentTurnId: 'string or null'
  },
  started: { model: 'string', promptTokens: 'number', cachedTokens: 'number', windowTokens: 'number' },
  token: { token: 'string' },
  done: { finishReason: 'string', usage: 'object', timings: 'object' },
  error: { code: 'string', message: 'string', retryable: 'boolean' },
  reset: { lastSeq: 'number' }
}

const LOGGED = { seq: 'number', conversationId: 'string', turnId: 'string', at: 'string' }

const KEYS = {
  options: 'maxNewTokens minP repeatPenalty sinkTokens stop temperature topK topP windowTokens',
  usage: 'cachedTokens completionTokens contextLimit evictedTokens promptTokens sinkTokens windowTokens',
  timings: 'decodeMs firstTokenMs prefillMs queueMs tokensPerSecond',
  limits:
    'bodyBytes conversationsPerSocket frameBytes helloTimeoutMs maxNewTokens messageBytes outboundBytes ' +
    'outboundFrames stopStringBytes stopStrings waitingTurns writeStallMs'
}

/** Registers the tests, for a server that is started once for all of them. */
export function protocolConformance(start: () => Promise<Target>): void {
  let target: Target
  beforeAll(async () => {
    target = await start()
  })
  afterAll(() => target?.end())

  const open = (...frames: readonly (object | string)[]): Promise<Peer> =>
    Peer.open(target.socketUrl, ...frames)
  const read = async <T>(path: string): Promise<T> => (await (await fetch(target.base + path)).json()) as T
  const turn = (turnId: string, more: object = {}): object => ({
    type: 'message',
    agentId: 'planner',
    message: 'Say yes.',
    options: SHORT,
    turnId,
    ...more
  })

  test('a hello is answered by ready, a message by its turn, in the shape of the protocol', async () => {
    const peer = await open({ type: 'hello', agentId: 'planner', conversationId: 'shape', options: SHORT })
    const ready = await peer.receive()
    expectShape(ready)
    expect(ready).toMatchObject({ protocol: 1, agentId: 'planner', conversationId: 'shape', lastSeq: 0 })
    expect(ready).not.toHaveProperty('seq')
    expectKeys(ready['limits'], KEYS.limits)
    peer.send({ message: 'Say yes.', turnId: 't1' })
    const frames = await peer.until('done')
    expect(kinds(frames)).toBe('user started token done')
    expectLog(frames, 0)
    expect(frames[0]).toMatchObject({
      text: 'Say yes.',
      agentId: 'planner',
      parentTurnId: null,
      turnId: 't1'
    })
    expectKeys(frames[0]?.['options'], KEYS.options)
    expect(frames[0]?.['options']).toMatchObject(SHORT)
    expectKeys(frames.at(-1)?.['usage'], KEYS.usage)
    expectKeys(frames.at(-1)?.['timings'], KEYS.timings)
    peer.close()
  })

  test('a first message is a hello too, in snake case, and what it leaves out later comes from there', async () => {
    const peer = await open({
      agent_id: 'planner',
      user_message: 'Say yes.',
      options: { temperature: 0, max_new_tokens: 4 }
    })
    const first = await peer.until('done')
    expect(kinds(first)).toBe('ready user started token done')
    expectLog(first.slice(1), 0)
    const [, { conversationId, turnId }] = first as readonly [ReceivedFrame, ReceivedFrame]
    peer.send({ message: 'And again.' })
    const second = await peer.until('done')
    expect(second[0]).toMatchObject({ conversationId, parentTurnId: turnId, agentId: 'planner' })
    expectLog(second, Number(first.at(-1)?.['seq']))
    peer.close()
  })

  test('a turn that is sent again is joined and read again; with another message it is a duplicate', async () => {
    const peer = await open(turn('again', { conversationId: 'join' }))
    const first = await peer.until('done')
    peer.send(turn('again', { conversationId: 'join' }))
    const second = await peer.until('done')
    expect(kinds(second)).toBe('user started token done')
    expect(textOf(second)).toBe(textOf(first))
    expectLog(second, 0)
    peer.send(turn('again', { conversationId: 'join', message: 'Say no.' }))
    const error = await peer.receive()
    expectShape(error)
    expect(error).toMatchObject({
      code: 'duplicate_turn',
      retryable: false,
      turnId: 'again',
      conversationId: 'join'
    })
    expect(error).not.toHaveProperty('seq')
    await expectAlive(peer)
    peer.close()
  })

  test('a turn is made again and edited beside itself, and a refusal names the turn that would be new', async () => {
    const peer = await open(turn('t', { conversationId: 'tree' }))
    const first = (await peer.until('done')).slice(1)
    const again = { type: 'regenerate', turnId: 't', newTurnId: 'u', options: SHORT }
    peer.send(again)
    const second = await peer.until('done')
    expect(second[0]).toMatchObject({ turnId: 'u', text: 'Say yes.', parentTurnId: null, agentId: 'planner' })
    expectLog(second, Number(first.at(-1)?.['seq']))
    peer.send(again)
    expect(textOf(await peer.until('done'))).toBe(textOf(second))
    peer.send(turn('v', { conversationId: 'tree', edit_turn_id: 'u', message: 'Say no.' }))
    expect((await peer.until('done'))[0]).toMatchObject({ turnId: 'v', text: 'Say no.', parentTurnId: null })
    peer.send({ type: 'regenerate', turnId: 'nobody', newTurnId: 'w', conversationId: 'tree' })
    const error = await peer.receive()
    expect(error).toMatchObject({ code: 'conversation_not_found', turnId: 'w', conversationId: 'tree' })
    peer.close()
  })

  test('resume misses nothing, from any place; beyond the end there is a reset', async () => {
    const peer = await open(turn('t', { conversationId: 'resume' }))
    const whole = (await peer.until('done')).slice(1)
    peer.close()
    const lastSeq = Number(whole.at(-1)?.['seq'])
    for (const after of [0, 1, 2, lastSeq - 1]) {
      const reader = await open({ type: 'resume', conversationId: 'resume', after })
      const rest = await reader.until('done')
      expectLog(rest, after)
      expect(textOf(whole).endsWith(textOf(rest))).toBe(true)
      if (after <= 2) expect(textOf(rest)).toBe(textOf(whole))
      reader.close()
    }
    const reader = await open({ type: 'resume', conversationId: 'resume', after: lastSeq + 7 })
    const reset = await reader.receive()
    expectShape(reset)
    expect(reset).toEqual({ type: 'reset', lastSeq, conversationId: 'resume' })
    // Without `after` a reader receives only what is new.
    const late = await open({ type: 'resume', conversationId: 'resume' })
    await expectAlive(late)
    reader.send(turn('next', { conversationId: 'resume' }))
    for (const each of [reader, late]) expectLog(await each.until('done'), lastSeq)
    reader.close()
    late.close()
  })

  test('the log over HTTP is what the socket sent', async () => {
    const peer = await open(turn('t', { conversationId: 'log' }))
    const frames = (await peer.until('done')).slice(1)
    peer.close()
    const page = await read<EventPage>('/conversations/log/events?after=0')
    const events = page.events as unknown as readonly ReceivedFrame[]
    expect(kinds(events)).toBe(kinds(frames))
    expect(textOf(events)).toBe(textOf(frames))
    expectLog(events, 0)
    expect(page.lastSeq).toBe(frames.at(-1)?.['seq'])
    const { turns, headTurnId } = await read<Conversation>('/conversations/log')
    expect(headTurnId).toBe('t')
    expect(turns).toMatchObject([{ turnId: 't', state: 'done', answerText: textOf(frames), firstSeq: 1 }])
  })

  test('cancel ends a turn, and the socket stays', async () => {
    const long = { message: LONG, options: { temperature: 0, maxNewTokens: 2000 } }
    const peer = await open(turn('long', { conversationId: 'cancel', ...long }))
    await peer.until('token')
    peer.send({ type: 'cancel', turnId: 'long', conversationId: 'cancel' })
    const done = (await peer.until('done')).at(-1)
    expect(done).toMatchObject({ finishReason: 'cancelled', turnId: 'long' })
    // A second cancel does nothing.
    peer.send({ type: 'cancel', turnId: 'long', conversationId: 'cancel' })
    await expectAlive(peer)
    peer.send({ type: 'cancel', turnId: 'nothing', conversationId: 'cancel' })
    expect(await peer.receive()).toMatchObject({ type: 'error', code: 'conversation_not_found' })
    await expectAlive(peer)
    peer.close()
  })

  test.each([
    ['1000', 1000, 'cancelled'],
    ['no code', undefined, 'cancelled']
  ])('a close with %s cancels what the socket owns', async (_, code, state) => {
    const conversationId = `close-${code}`
    const long = { message: LONG, options: { temperature: 0, maxNewTokens: 2000 } }
    const peer = await open(turn('long', { conversationId, ...long }))
    await peer.until('token')
    peer.close(code)
    await until('the turn has ended', async () => {
      const { turns } = await read<Conversation>(`/conversations/${conversationId}`)
      return turns[0]?.state === state && turns[0].answerText !== ''
    })
  })

  test('a reader that only leaves stops nothing', async () => {
    const peer = await open(turn('t', { conversationId: 'leave' }))
    await peer.until('user')
    peer.close(4000)
    await until('the turn is done', async () => {
      const { turns } = await read<Conversation>('/conversations/leave')
      return turns[0]?.state === 'done'
    })
  })

  test('a ping is answered by a pong, with its id if it has one', async () => {
    const peer = await open({ type: 'ping', id: 'p' }, { type: 'ping' })
    expect(await peer.receive()).toEqual({ type: 'pong', id: 'p' })
    expect(await peer.receive()).toEqual({ type: 'pong' })
    peer.close()
  })

  test.each([
    ['no JSON', '{', 'invalid_request', 4400],
    ['a list', '[]', 'invalid_request', 4400],
    ['an unknown type', { type: 'dance' }, 'invalid_request', 4400],
    ['a message without an agent', { message: 'hi' }, 'invalid_request', 4400],
    ['a blank message', { agentId: 'planner', message: ' ' }, 'invalid_request', 4400],
    ['an unknown option', { agentId: 'planner', options: { heat: 1 } }, 'invalid_request', 4400],
    ['an option out of range', { agentId: 'planner', options: { topP: 7 } }, 'invalid_request', 4400],
    ['two meanings', { agentId: 'planner', agent_id: 'other' }, 'invalid_request', 4400],
    ['an id that is none', { agentId: 'planner', conversationId: '../x' }, 'invalid_request', 4400],
    ['an unknown agent', { agentId: 'nobody' }, 'agent_not_found', 4404],
    ['a message to an unknown agent', { agentId: 'nobody', message: 'hi' }, 'agent_not_found', 4404],
    ['a log that is not there', { type: 'resume', conversationId: 'none' }, 'conversation_not_found', 4404]
  ])('%s is refused: a first frame ends the socket, a later one does not', async (_, frame, code, close) => {
    const first = await open(frame)
    const error = await first.receive()
    expectShape(error)
    expect(error).toMatchObject({ type: 'error', code, retryable: false })
    expect(await first.closed).toBe(close)
    const later = await open({ type: 'ping' })
    await later.until('pong')
    later.send(frame)
    expect(await later.receive()).toMatchObject({ type: 'error', code, retryable: false })
    await expectAlive(later)
    later.close()
  })

  test('a refusal names the key, and the turn and conversation that it is about', async () => {
    const frame = turn('t', { conversationId: 'named', options: { max_new_tokens: 0 } })
    const error = await (await open(frame)).receive()
    expect(error).toMatchObject({ turnId: 't', conversationId: 'named' })
    expect(error['message']).toContain('max_new_tokens')
  })

  test.each([
    ['GET', '/agents/nobody', 404, 'agent_not_found'],
    ['GET', '/conversations/none', 404, 'conversation_not_found'],
    ['GET', '/conversations/none/events', 404, 'conversation_not_found'],
    ['GET', '/nowhere', 404, 'invalid_request'],
    ['POST', '/agents', 405, 'invalid_request'],
    ['PUT', '/agents/x', 422, 'invalid_request']
  ])('%s %s is answered by %i', async (method, path, status, code) => {
    const response = await fetch(target.base + path, { method, ...(method === 'PUT' ? { body: '{}' } : {}) })
    expect(response.status).toBe(status)
    expect(response.headers.has('allow')).toBe(status === 405)
    expect(await response.json()).toMatchObject({ code, detail: expect.any(String) as unknown })
  })

  test('a conversation that is deleted is gone, and its reader receives an error', async () => {
    const peer = await open(turn('t', { conversationId: 'deleted' }))
    await peer.until('done')
    const response = await fetch(`${target.base}/conversations/deleted`, { method: 'DELETE' })
    expect(response.status).toBe(204)
    expect(await peer.receive()).toMatchObject({ type: 'error', code: 'gone', conversationId: 'deleted' })
    peer.send(turn('t2', { conversationId: 'deleted' }))
    expect(await peer.receive()).toMatchObject({ type: 'error', code: 'gone', turnId: 't2' })
    peer.close()
  })
}

async function expectAlive(peer: Peer): Promise<void> {
  peer.send({ type: 'ping', id: 'alive' })
  expect(await peer.receive()).toEqual({ type: 'pong', id: 'alive' })
}

/** Checks that each frame has its shape, is logged, and follows the one before. */
function expectLog(frames: readonly ReceivedFrame[], after: number): void {
  let last = after
  for (const frame of frames) {
    expectShape(frame)
    expectFields(frame, LOGGED)
    expect(frame['at']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect(Number(frame['firstSeq'] ?? frame['seq'])).toBe(last + 1)
    last = Number(frame['seq'])
  }
}

function expectShape(frame: ReceivedFrame): void {
  expect(SHAPES).toHaveProperty(frame.type)
  expectFields(frame, SHAPES[frame.type] ?? {})
}

function expectFields(frame: ReceivedFrame, shape: Readonly<Record<string, string>>): void {
  for (const [field, type] of Object.entries(shape)) {
    const value = frame[field]
    expect(type.split(' or '), `${field} of ${frame.type}`).toContain(value === null ? 'null' : typeof value)
  }
}

/** Checks that no key of the protocol is missing; a newer server may send more. */
function expectKeys(value: unknown, keys: string): void {
  expect(Object.keys(value as object)).toEqual(expect.arrayContaining(keys.split(' ')))
}
