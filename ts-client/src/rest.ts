// Makes one REST request: JSON in, JSON out, and the server's message on failure.
import { ApiError } from './errors.js'
import { isRecord, type JsonRecord } from './json.js'
import { restUrl } from './url.js'

/** Settings of one REST call. */
export interface RequestOptions {
  /** Sent as `Authorization: Bearer …` when the sidecar asks for a key. */
  readonly apiKey?: string
  /** Aborts the call; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** One request. */
export interface RestCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly base: string
  readonly path: string
  readonly body?: JsonRecord
  readonly headers?: Readonly<Record<string, string>>
  readonly options?: RequestOptions | undefined
}

/**
 * Makes the call and returns the parsed body, `undefined` if it is empty.
 *
 * @throws ApiError on any status but 2xx, on a body that isn't JSON, and if there is no response.
 */
export async function request(call: RestCall): Promise<unknown> {
  const url = restUrl(call.base, call.path)
  const response = await fetchResponse(url, call)
  const text = await response.text()
  const body = parse(text)
  if (!response.ok) throw failure(response, text, body)
  if (body === undefined && text !== '') {
    throw new ApiError(`${call.method} ${url} answered with something else than JSON`, response.status)
  }
  return body
}

async function fetchResponse(url: string, { method, body, options, ...call }: RestCall): Promise<Response> {
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
  const message =
    detailText(record['detail']) ??
    detailText(record['message']) ??
    detailText(record['error']) ??
    plainText(response, text)
  const code = record['code'] ?? record['error']
  return new ApiError(
    message ?? (response.statusText || `HTTP ${response.status}`),
    response.status,
    typeof code === 'string' ? code : undefined
  )
}

/** Returns a text, or the joined texts of a list of `{loc, msg}`. */
function detailText(value: unknown): string | undefined {
  if (typeof value === 'string' && value !== '') return value
  if (!Array.isArray(value)) return undefined
  const sentences = value.flatMap((item: unknown) => {
    if (!isRecord(item) || typeof item['msg'] !== 'string') return []
    const place = Array.isArray(item['loc']) ? `${item['loc'].join('.')}: ` : ''
    return [place + item['msg']]
  })
  return sentences.length > 0 ? sentences.join('; ') : undefined
}

/** Returns a body of plain text. A proxy's HTML page doesn't belong in a message. */
function plainText(response: Response, text: string): string | undefined {
  const isPlain = response.headers.get('content-type')?.startsWith('text/plain') === true
  return isPlain && text.trim() !== '' ? text.trim() : undefined
}
