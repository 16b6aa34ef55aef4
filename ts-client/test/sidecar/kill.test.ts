// The sidecar is killed in the middle of an answer, and started again.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { streamChat, type ChatEvent } from '../../src/index.js'
import type { Conversation } from '../../src/generated/protocol.js'
import { Sidecar, until } from './sidecar.js'

let sidecar: Sidecar

beforeAll(async () => {
  sidecar = await Sidecar.start()
})

afterAll(() => sidecar?.remove())

test('after a crash the stream resumes, misses nothing, and goes on', async () => {
  const events: ChatEvent[] = []
  const stream = await streamChat({
    backendUrl: sidecar.socketUrl,
    agentId: 'planner',
    options: { temperature: 0 },
    reconnect: { initialDelayMs: 50, maxDelayMs: 500, maxAttempts: 1000 },
    onEvent: (event) => events.push(event)
  })
  const cut = stream.sendMessage({ message: 'Write a long story.', options: { maxNewTokens: 2000 } })
  await until('ten tokens', () => events.filter((event) => event.type === 'token').length >= 10)
  await sidecar.kill()
  await sidecar.startAgain()

  await expect(cut).rejects.toMatchObject({ code: 'interrupted', retryable: true })
  const next = await stream.sendMessage({ message: 'Say yes.', options: { maxNewTokens: 8 } })
  stream.stop()

  const logged = events.flatMap((event) => (event.seq === undefined ? [] : [event]))
  let last = 0
  for (const event of logged) {
    expect(event.type === 'token' ? (event.firstSeq ?? event.seq) : event.seq).toBe(last + 1)
    last = event.seq ?? last
  }
  const { turns } = await sidecar.get<Conversation>(`/conversations/${stream.conversationId}`)
  expect(turns.map((turn) => turn.state)).toEqual(['interrupted', 'done'])
  expect(turns[1]?.answerText).toBe(next.text)
  const shown = events.flatMap((event) =>
    event.type === 'token' && event.turnId === turns[0]?.turnId ? [event.token] : []
  )
  expect(turns[0]?.answerText).toBe(shown.join(''))
})
