// HTTP: a table of routes, JSON in and out, and every refusal as `{detail, code}`.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Fault } from './faults.js'
import { jsonOrText, type ReceivedHttp } from './requests.js'

/** Bytes of one body. */
const BODY_BYTES = 1 << 20

/** One request. */
export interface HttpCall {
  /** What the route's `{…}` stand for, decoded, in order. */
  readonly ids: readonly string[]
  readonly query: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

/** One answer. */
export interface HttpReply {
  readonly status: number
  /** JSON; absent for an empty one. */
  readonly body?: unknown
  /** In place of a JSON body. */
  readonly text?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** What a route does. */
export type Handler = (call: HttpCall) => HttpReply | Promise<HttpReply>

/** The methods of a path; `{}` stands for an id. */
export type Routes = Readonly<Record<string, Readonly<Partial<Record<string, Handler>>>>>

/** Serves one request, and notes it before it is answered. */
export async function serve(
  routes: Routes,
  request: IncomingMessage,
  response: ServerResponse,
  note: (received: ReceivedHttp) => void
): Promise<void> {
  let reply: HttpReply
  try {
    reply = await route(routes, await receive(request, note))
  } catch (thrown) {
    reply = refusal(Fault.of(thrown))
  }
  const { status, body, headers } = reply
  const text = reply.text ?? (body === undefined ? '' : JSON.stringify(body))
  const type = reply.text === undefined ? 'application/json' : 'application/jsonl; charset=utf-8'
  response.writeHead(status, { ...(text === '' ? {} : { 'content-type': type }), ...headers })
  response.end(text)
}

/** A refusal as HTTP says it. */
export function refusal(fault: Fault): HttpReply {
  return { status: fault.status, body: { detail: fault.message, code: fault.code } }
}

/** The refusal of a body that can be read and says what can't be. */
export function unprocessable(detail: string): Fault {
  return new Fault('invalid_request', detail, 422)
}

async function receive(
  request: IncomingMessage,
  note: (received: ReceivedHttp) => void
): Promise<ReceivedHttp> {
  const url = new URL(request.url ?? '/', 'http://harness')
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    bytes += chunk.length
    if (bytes <= BODY_BYTES) chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString()
  const received: ReceivedHttp = {
    kind: 'http',
    method: request.method ?? 'GET',
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    headers: Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, [value].flat().join(', ')])
    ),
    body: text === '' ? undefined : jsonOrText(text)
  }
  note(received)
  if (bytes > BODY_BYTES) throw new Fault('too_large', `the body is larger than ${BODY_BYTES} bytes`)
  return received
}

async function route(routes: Routes, received: ReceivedHttp): Promise<HttpReply> {
  const { method, path } = received
  for (const [pattern, methods] of Object.entries(routes)) {
    const ids = match(pattern, path)
    if (ids === undefined) continue
    const handler = methods[method]
    if (handler !== undefined) return handler({ ...received, ids })
    const allow = Object.keys(methods).join(', ')
    const detail = `${method} is not allowed on ${path}, only ${allow}`
    return { ...refusal(new Fault('invalid_request', detail, 405)), headers: { allow } }
  }
  throw new Fault('invalid_request', `there is nothing at ${path}`, 404)
}

/** What the `{}` of a pattern stand for in a path; nothing when it is another path. */
function match(pattern: string, path: string): readonly string[] | undefined {
  const [wanted, given] = [pattern.split('/'), path.split('/')]
  if (wanted.length !== given.length) return undefined
  const ids: string[] = []
  for (const [index, segment] of wanted.entries()) {
    const found = given[index] ?? ''
    if (segment === '{}' && found !== '') ids.push(decodeURIComponent(found))
    else if (segment !== found) return undefined
  }
  return ids
}
