// HTTP: a table of routes, JSON in and out, and every refusal as `{detail, code}`.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ProtocolError } from './protocol-error.js'
import { jsonOrText, type ReceivedHttp } from './requests.js'

/** Limit of one body, in bytes. */
const BODY_BYTES = 1 << 20

/** One request. */
export interface HttpCall {
  /** The values of the route's `{…}`, decoded, in order. */
  readonly ids: readonly string[]
  readonly query: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

/** One response. */
export interface HttpReply {
  readonly status: number
  /** The JSON body; absent for an empty one. */
  readonly body?: unknown
  /** A text body, in place of JSON. */
  readonly text?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A function that serves a route. */
export type Handler = (call: HttpCall) => HttpReply | Promise<HttpReply>

/** The methods of each path; `{}` stands for an id. */
export type Routes = Readonly<Record<string, Readonly<Partial<Record<string, Handler>>>>>

/** Serves one request; `onRequest` is called before it is answered. */
export async function serve(
  routes: Routes,
  request: IncomingMessage,
  response: ServerResponse,
  onRequest: (received: ReceivedHttp) => void
): Promise<void> {
  let reply: HttpReply
  try {
    reply = await route(routes, await receive(request, onRequest))
  } catch (thrown) {
    reply = refusal(ProtocolError.of(thrown))
  }
  const { status, body, headers } = reply
  const text = reply.text ?? (body === undefined ? '' : JSON.stringify(body))
  const type = reply.text === undefined ? 'application/json' : 'application/jsonl; charset=utf-8'
  response.writeHead(status, { ...(text === '' ? {} : { 'content-type': type }), ...headers })
  response.end(text)
}

/** Converts an error to a response. */
export function refusal(error: ProtocolError): HttpReply {
  return { status: error.status, body: { detail: error.message, code: error.code } }
}

/** Returns the error for a body that can be parsed but is invalid. */
export function unprocessable(detail: string): ProtocolError {
  return new ProtocolError('invalid_request', detail, 422)
}

async function receive(
  request: IncomingMessage,
  onRequest: (received: ReceivedHttp) => void
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
  onRequest(received)
  if (bytes > BODY_BYTES) throw new ProtocolError('too_large', `the body is larger than ${BODY_BYTES} bytes`)
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
    return { ...refusal(new ProtocolError('invalid_request', detail, 405)), headers: { allow } }
  }
  throw new ProtocolError('invalid_request', `there is nothing at ${path}`, 404)
}

/** Returns the ids of a path that matches a pattern, or `undefined` if it doesn't. */
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
