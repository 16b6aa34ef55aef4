// A host application's narrator, tested with the harness alone: no sidecar, no model, no relay.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { postNarratorMessage, streamChat } from 'streaming-llm-client'
import { startSidecarHarness, type SidecarHarness } from 'streaming-llm-client/testing'

/** The host's own code: asks a workspace's narrator and returns its narration. */
async function ask(sidecar: { baseUrl: string; wsUrl: string }, message: string): Promise<string> {
  const { conversationId } = await postNarratorMessage({ workspaceId: 'w 1', message }, sidecar.baseUrl)
  return new Promise((resolve, reject) => {
    const stream = streamChat({
      backendUrl: sidecar.wsUrl,
      agentId: 'controller',
      conversationId,
      after: 0,
      onEvent: (event) => {
        if (event.type !== 'narration') return
        resolve(`${event.headline}: ${event.text}`)
        void stream.then(({ stop }) => stop())
      }
    })
    stream.catch(reject)
  })
}

let sidecar: SidecarHarness
beforeAll(async () => {
  const answers = [{ answer: 'Two tests fail.', headline: 'Status' }, { error: 'connection refused' }]
  sidecar = await startSidecarHarness({ relay: { answers, builtinController: true } })
})
afterAll(() => sidecar.close())

test('the narrator answers, and a relay that fails is reported with its own message', async () => {
  expect(await ask(sidecar, 'How is it going?')).toBe('Status: Two tests fail.')
  await expect(ask(sidecar, 'And now?')).rejects.toMatchObject({ status: 502, message: 'connection refused' })
})
