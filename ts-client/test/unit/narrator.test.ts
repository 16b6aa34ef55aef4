// Narrators and controllers: the REST calls, against the harness.
import { afterEach, expect, test, vi } from 'vitest'
import {
  keepaliveController,
  narratorFeed,
  postNarratorMessage,
  publishControllerEvents,
  registerController,
  releaseController,
  streamChat,
  type ChatEvent
} from 'streaming-llm-client'
import { startSidecarHarness, type HarnessOptions, type SidecarHarness } from 'streaming-llm-client/testing'

let harness: SidecarHarness

async function start(options: HarnessOptions): Promise<string> {
  harness = await startSidecarHarness(options)
  return harness.baseUrl
}

afterEach(() => harness.close())

/** Returns the events that a reader of a conversation receives, from its start on. */
async function reading(conversationId: string): Promise<readonly ChatEvent[]> {
  const events: ChatEvent[] = []
  await streamChat({
    backendUrl: harness.wsUrl,
    agentId: 'controller',
    conversationId,
    after: 0,
    reconnect: false,
    onEvent: (event) => events.push(event)
  })
  return events
}

test('a message needs a controller; with one, its answer reaches the readers and the feed', async () => {
  const base = await start({ relay: [{ answer: 'All is\nwell.' }] })
  const message = { workspaceId: 'a/b', message: 'How is it?', conversationId: 'c1' }
  await expect(postNarratorMessage(message, base)).rejects.toMatchObject({
    status: 409,
    code: 'controller_not_registered',
    message: expect.stringContaining('agent "controller" in workspace "a/b": there has been none') as unknown
  })
  await registerController({ agentId: 'controller', workspaceId: 'a/b' }, base)
  const accepted = await postNarratorMessage(message, base)
  expect(accepted).toMatchObject({ workspaceId: 'a/b', conversationId: 'c1' })
  const events = await reading('c1')
  await postNarratorMessage({ ...message, message: 'And now?' }, base)
  await expect.poll(() => events.length).toBe(3)
  expect(events).toMatchObject([
    { type: 'ready' },
    { type: 'narration', text: 'All is\nwell.', headline: 'All is', source: 'narrator', seq: 1 },
    { type: 'narration', text: 'echo: And now?', seq: 2 }
  ])
  expect(events[1]).not.toHaveProperty('turnId')
  const feed = await narratorFeed('a/b', { limit: 2 }, base)
  expect(feed.events).toMatchObject([
    { type: 'narration', source: 'narrator', detail: 'echo: And now?', severity: 'info' },
    { type: 'narration', source: 'user', detail: 'And now?' }
  ])
  const elsewhere = await narratorFeed('a/b', { conversationId: 'c2' }, base)
  expect(elsewhere).toEqual({ workspaceId: 'a/b', conversationId: 'c2', events: [] })
  expect(harness.requests.at(-1)).toMatchObject({
    path: '/api/workspaces/a%2Fb/narrator/feed',
    query: { conversationId: 'c2' }
  })
})

test('a relay that fails or hangs is reported, and the feed has it', async () => {
  const answers = [{ error: 'connection refused' }, { hang: true }] as const
  const base = await start({ relay: { answers, builtinController: true, limitMs: 1 } })
  const message = { workspaceId: 'w', message: 'x' }
  await expect(postNarratorMessage(message, base)).rejects.toMatchObject({
    status: 502,
    code: 'relay_failed',
    message: 'connection refused'
  })
  await expect(postNarratorMessage(message, base)).rejects.toMatchObject({
    status: 504,
    code: 'relay_timeout'
  })
  await expect(postNarratorMessage({ ...message, message: ' ' }, base)).rejects.toMatchObject({
    status: 400,
    message: 'message is required'
  })
  const { events } = await narratorFeed('w', undefined, base)
  expect(events.map((event) => `${event.type} ${event.headline}`)).toEqual([
    'error relay_timeout',
    'narration x',
    'error relay_failed',
    'narration x'
  ])
})

test('with respondAsync it resolves at once, even if the relay hangs', async () => {
  const base = await start({ relay: { answers: [{ hang: true }], builtinController: true } })
  const accepted = await postNarratorMessage({ workspaceId: 'w', message: 'x', respondAsync: true }, base)
  expect(accepted.conversationId).toMatch(/^narrator-w-[0-9a-f]{32}$/)
  expect(harness.requests[0]).toMatchObject({
    body: { workspaceId: 'w', message: 'x' },
    headers: { prefer: 'respond-async' }
  })
})

test('a lease is kept alive, guarded by its token, and released', async () => {
  const base = await start({})
  const lease = await registerController({ agentId: 'controller', ttlSeconds: 30 }, base)
  await expect(registerController({ agentId: 'controller' }, base)).rejects.toMatchObject({
    status: 409,
    code: 'conflict'
  })
  const again = await registerController({ agentId: 'controller', token: lease.token }, base)
  expect(again.registrationId).not.toBe(lease.registrationId)
  await expect(keepaliveController(lease, base)).rejects.toMatchObject({ code: 'controller_not_registered' })
  await expect(keepaliveController({ ...again, token: 'x' }, base)).rejects.toMatchObject({
    code: 'forbidden'
  })
  const kept = await keepaliveController(again, base)
  expect(Date.parse(kept.expiresAt)).toBeGreaterThanOrEqual(Date.parse(again.expiresAt))
  expect(harness.requests.at(-1)).toMatchObject({
    method: 'PUT',
    path: `/controllers/${again.registrationId}/keepalive`,
    headers: { 'x-controller-token': again.token }
  })
  await releaseController(again, base)
  await expect(releaseController(again, base)).rejects.toMatchObject({ code: 'controller_not_registered' })
  await expect(registerController({ agentId: 'controller', ttlSeconds: 0 }, base)).rejects.toMatchObject({
    code: 'invalid_request'
  })
})

test('a lease ends by itself, and a message says when', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  try {
    const base = await start({})
    const lease = await registerController({ agentId: 'controller', ttlSeconds: 30 }, base)
    vi.setSystemTime(Date.now() + 30_000)
    await expect(postNarratorMessage({ workspaceId: 'w', message: 'x' }, base)).rejects.toMatchObject({
      code: 'controller_not_registered',
      message: expect.stringContaining(`its lease ended at ${lease.expiresAt}`) as unknown
    })
    await expect(keepaliveController(lease, base)).rejects.toMatchObject({
      code: 'controller_not_registered'
    })
    await registerController({ agentId: 'controller' }, base)
    await postNarratorMessage({ workspaceId: 'w', message: 'x' }, base)
  } finally {
    vi.useRealTimers()
  }
})

test('what a controller publishes reaches the readers, all of it or none', async () => {
  const base = await start({})
  const lease = await registerController({ agentId: 'controller', workspaceId: 'w' }, base)
  const events = [
    { type: 'step-start', step: 1, title: 'Reads' },
    { type: 'narration', text: 'I read.', source: 'agent' },
    { type: 'step-finish', step: 1 }
  ] as const
  const published = await publishControllerEvents({ ...lease, conversationId: 'c1', events }, base)
  expect(published).toEqual({ firstSeq: 1, lastSeq: 3 })
  const received = await reading('c1')
  await expect.poll(() => received.length).toBe(4)
  expect(received.slice(1)).toMatchObject(events)
  const wrong = [events[0], { type: 'token', token: 'x' }] as unknown as typeof events
  await expect(
    publishControllerEvents({ ...lease, conversationId: 'c1', events: wrong }, base)
  ).rejects.toMatchObject({ code: 'invalid_request' })
  await expect(
    publishControllerEvents({ ...lease, conversationId: 'c1', turnId: 'none', events }, base)
  ).rejects.toMatchObject({ code: 'conversation_not_found' })
  expect(harness.publish('c1', { type: 'summary', text: '# So far' })).toBe(4)
  await expect.poll(() => received.at(-1)?.type).toBe('summary')
  const feed = await narratorFeed('w', {}, base)
  expect(feed.events.map((event) => `${event.type} ${event.headline}`)).toEqual([
    'agent-result Step 1 is over',
    'narration I read.',
    'agent-update Reads'
  ])
})

test.each(['', '.', '..'])('the id %j never becomes another path', async (id) => {
  const base = await start({})
  await expect(narratorFeed(id, {}, base)).rejects.toMatchObject({ code: 'invalid_request' })
  await expect(releaseController({ registrationId: id, token: 't' }, base)).rejects.toMatchObject({
    code: 'invalid_request'
  })
  expect(harness.requests).toEqual([])
})
