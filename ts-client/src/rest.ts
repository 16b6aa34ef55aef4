// One REST request: JSON in, JSON out, and a failure told in the server's words.
import { ApiError } from './errors.js'
import { isRecord, type JsonRecord } from './json.js'
import { restUrl } from './url.js'

/** Settings of one REST call. */
export interface RequestOptions {
  /** Sent as `Authorization: Bearer …` when the sidecar asks for a key. */
  readonly apiKey?: string
  /** Ends the call early; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** What is asked of the server. */
export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly base: string
  readonly path: string
  readonly body?: JsonRecord
  readonly headers?: Readonly<Record<string, string>>
  readonly options?: RequestOptions | undefined
}

/**
 * Makes the call and returns the parsed body, `undefined` when it is empty.
 *
 * @throws ApiError on any status but 2xx, on a body that isn't JSON, and when no answer comes.
 */
export async function request(call: Call): Promise<unknown> {
  const url = restUrl(call.base, call.path)
  const response = await answer(url, call)
  const text = await response.text()
  const body = parse(text)
  if (!response.ok) throw failure(response, text, body)
  if (body === undefined && text !== '') {
    throw new ApiError(`${call.method} ${url} answered with something else than JSON`, response.status)
  }
  return body
}

async function answer(url: string, { method, body, options, ...call }: Call): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json', ...call.headers }
  if (body !== undefined) headers['content-type'] = 'application/json'
  if (options?.apiKey !== undefined) headers['authorization'] = `Bearer ${options.apiKey}`
  try {
    return await fetch(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(options?.signal === undefined ? {} : { signal: options.signal })
    })
  } catch (cause) {
    if (options?.signal?.aborted === true) throw cause
    throw new ApiError(`No answer from ${url}`, 0, undefined, { cause })
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Reads `{detail, code}`, the relay's `{error, detail}`, and the list of field errors that older servers send. */
function failure(response: Response, text: string, body: unknown): ApiError {
  const record = isRecord(body) ? body : {}
  const words =
    wording(record['detail']) ??
    wording(record['message']) ??
    wording(record['error']) ??
    plainText(response, text)
  const code = record['code'] ?? record['error']
  return new ApiError(
    words ?? (response.statusText || `HTTP ${response.status}`),
    response.status,
    typeof code === 'string' ? code : undefined
  )
}

/** A sentence, or the sentences of a list of `{loc, msg}`. */
function wording(value: unknown): string | undefined {
  if (typeof value === 'string' && value !== '') return value
  if (!Array.isArray(value)) return undefined
  const sentences = value.flatMap((item: unknown) => {
    if (!isRecord(item) || typeof item['msg'] !== 'string') return []
    const place = Array.isArray(item['loc']) ? `${item['loc'].join('.')}: ` : ''
    return [place + item['msg']]
  })
  return sentences.length > 0 ? sentences.join('; ') : undefined
}

/** A proxy's error page says nothing that belongs in a message; a plain text does. */
function plainText(response: Response, text: string): string | undefined {
  const isPlain = response.headers.get('content-type')?.startsWith('text/plain') === true
  return isPlain && text.trim() !== '' ? text.trim() : undefined
}
