// The REST calls, against a small HTTP server that records its requests.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ApiError, deleteAgent, getAgent, listAgents, updateAgent } from '../../src/index.js'

const reviewer = {
  id: 'reviewer',
  name: 'Reviewer',
  system_prompt: 'You are Reviewer.',
  markdown_context: '- x\n'
}

/** The server's next response. */
let reply: { readonly status: number; readonly body?: unknown; readonly type?: string }
let asked: { readonly line: string; readonly body: unknown; readonly authorization: string | undefined }[]
let base: string
const server = createServer((request, response) => void record(request, response))

async function record(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  const { authorization } = request.headers
  const body: unknown = text === '' ? undefined : JSON.parse(text)
  asked.push({ line: `${request.method} ${request.url}`, body, authorization })
  response.writeHead(reply.status, { 'content-type': reply.type ?? 'application/json' })
  response.end(
    typeof reply.body === 'string' || reply.body === undefined ? reply.body : JSON.stringify(reply.body)
  )
}

beforeEach(async () => {
  asked = []
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

test('lists, reads, writes and deletes', async () => {
  reply = { status: 200, body: { agents: [reviewer] } }
  expect(await listAgents(`${base}/`)).toEqual([reviewer])
  reply = { status: 200, body: reviewer }
  expect(await getAgent('reviewer', base)).toEqual(reviewer)
  reply = { status: 201, body: reviewer }
  expect(await updateAgent(reviewer, `${base}/prefix`, { apiKey: 'secret' })).toEqual(reviewer)
  reply = { status: 204 }
  expect(await deleteAgent('a b/ü?', base)).toBeUndefined()
  const { id: _, ...body } = reviewer
  expect(asked).toEqual([
    { line: 'GET /agents', body: undefined, authorization: undefined },
    { line: 'GET /agents/reviewer', body: undefined, authorization: undefined },
    { line: 'PUT /prefix/agents/reviewer', body, authorization: 'Bearer secret' },
    { line: 'DELETE /agents/a%20b%2F%C3%BC%3F', body: undefined, authorization: undefined }
  ])
})

test.each([
  [404, { detail: 'Agent not found', code: 'agent_not_found' }, 'Agent not found', 'agent_not_found'],
  [404, { detail: 'Agent not found' }, 'Agent not found', undefined],
  [502, { error: 'relay_failed', detail: 'connection refused' }, 'connection refused', 'relay_failed'],
  [400, { error: 'nope' }, 'nope', 'nope'],
  [
    422,
    { detail: [{ loc: ['body', 'name'], msg: 'field required', type: 'missing' }] },
    'body.name: field required',
    undefined
  ],
  [503, '<html>busy</html>', 'Service Unavailable', undefined]
])('a %i with %j says so', async (status, body, message, code) => {
  reply = { status, body, ...(typeof body === 'string' ? { type: 'text/html' } : {}) }
  const failure: unknown = await getAgent('nobody', base).catch((reason: unknown) => reason)
  expect(failure).toBeInstanceOf(ApiError)
  expect(failure).toMatchObject({ message, status, code })
})

test.each([
  ['no JSON', 'hello'],
  ['no list', { agents: null }]
])('a list that is %s is refused', async (_, body) => {
  reply = { status: 200, body }
  await expect(listAgents(base)).rejects.toBeInstanceOf(ApiError)
})

test.each(['', '.', '..'])('the id %j never becomes another path', async (id) => {
  await expect(deleteAgent(id, base)).rejects.toMatchObject({ code: 'invalid_request' })
  expect(asked).toEqual([])
})

test('a server that is not there is named', async () => {
  await expect(getAgent('x', 'http://127.0.0.1:1')).rejects.toMatchObject({
    message: 'No answer from http://127.0.0.1:1/agents/x',
    status: 0
  })
})
