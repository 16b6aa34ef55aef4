// Decodes a frame's data into an event. It never throws, whatever the server sends.
import type { ChatEvent, EventOrigin, NarrationSource } from './events.js'
import { countIn, isRecord, stringIn, type JsonRecord } from './json.js'
import { errorCode, isRetryable } from './error-codes.js'

/** The content of one frame. */
export type Decoded =
  /** An event of the closed union, and the first `seq` that it covers. */
  | { readonly kind: 'event'; readonly event: ChatEvent; readonly firstSeq: number | undefined }
  /** A type that this version doesn't know, or a frame without the fields of its type. */
  | { readonly kind: 'unknown'; readonly value: unknown; readonly origin: EventOrigin }

type Shape = Readonly<Record<string, 'string' | 'number' | 'object' | 'source'>>

/**
 * The fields without which an event is useless. `done` has none, since an older server sends no more than
 * that. Nor does `tool` require a `callId`; a call without one can be shown, but not answered.
 */
const REQUIRED: Readonly<Record<ChatEvent['type'], Shape>> = {
  ready: { model: 'string', limits: 'object', lastSeq: 'number' },
  queued: { ahead: 'number' },
  user: { text: 'string' },
  started: { model: 'string', promptTokens: 'number', cachedTokens: 'number', windowTokens: 'number' },
  token: { token: 'string' },
  reasoning: { token: 'string' },
  tool: { name: 'string' },
  'tool-output': { name: 'string' },
  'step-start': { step: 'number' },
  step: { step: 'number' },
  'step-finish': { step: 'number' },
  summary: { text: 'string' },
  narration: { text: 'string', source: 'source' },
  evicted: { tokens: 'number' },
  done: {},
  error: {},
  pong: {},
  reset: { lastSeq: 'number' }
}

/** All sources of narrations; the compiler checks that none is missing. */
const SOURCES: Readonly<Record<NarrationSource, true>> = {
  narrator: true,
  agent: true,
  system: true,
  user: true
}

/** Decodes one frame. */
export function decode(data: unknown): Decoded {
  const value = parse(data)
  if (!isRecord(value)) return { kind: 'unknown', value, origin: {} }
  const origin = originOf(value)
  const type = value['type']
  if (!isKnown(type) || !fits(value, REQUIRED[type])) return { kind: 'unknown', value, origin }
  // `fits` has checked the fields that can't be filled in.
  const event = { ...value, ...defaults(type, value), ...origin } as unknown as ChatEvent
  return { kind: 'event', event, firstSeq: countIn(value, 'firstSeq', 'first_seq') ?? origin.seq }
}

/** Returns the JSON value of a text frame, or the data itself if it isn't JSON. */
function parse(data: unknown): unknown {
  if (typeof data !== 'string') return data
  try {
    return JSON.parse(data) as unknown
  } catch {
    return data
  }
}

function originOf(value: JsonRecord): EventOrigin {
  const seq = countIn(value, 'seq')
  const conversationId = stringIn(value, 'conversationId', 'conversation_id')
  const turnId = stringIn(value, 'turnId', 'turn_id')
  const at = stringIn(value, 'at')
  return {
    ...(seq === undefined ? {} : { seq }),
    ...(conversationId === undefined ? {} : { conversationId }),
    ...(turnId === undefined ? {} : { turnId }),
    ...(at === undefined ? {} : { at })
  }
}

function isKnown(type: unknown): type is ChatEvent['type'] {
  return typeof type === 'string' && Object.hasOwn(REQUIRED, type)
}

function fits(value: JsonRecord, shape: Shape): boolean {
  return Object.entries(shape).every(([field, type]) => {
    if (type === 'object') return isRecord(value[field])
    return type === 'source' ? isSource(value[field]) : typeof value[field] === type
  })
}

function isSource(value: unknown): value is NarrationSource {
  return typeof value === 'string' && Object.hasOwn(SOURCES, value)
}

/** Returns defaults for what older servers leave out of an event. */
function defaults(type: ChatEvent['type'], value: JsonRecord): JsonRecord {
  if (type === 'tool' || type === 'tool-output') {
    return { callId: stringIn(value, 'callId', 'call_id') ?? '' }
  }
  if (type === 'done') {
    const reason = value['finishReason']
    const isReason = reason === 'stop' || reason === 'length' || reason === 'cancelled'
    return { finishReason: isReason ? reason : 'stop' }
  }
  if (type === 'error') {
    const code = errorCode(value['code'])
    const retryable = value['retryable']
    return {
      code,
      message: stringIn(value, 'message', 'detail') ?? 'The server reported an error',
      retryable: typeof retryable === 'boolean' ? retryable : 'code' in value && isRetryable(code)
    }
  }
  return {}
}
