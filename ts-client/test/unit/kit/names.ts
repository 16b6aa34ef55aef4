// Placeholders: what differs from run to run, and what has to be the same within one.
import type { Json } from './scenario.js'

const COUNTS = { promptTokens: 1, cachedTokens: 0, completionTokens: 1, sinkTokens: 4, windowTokens: 2048 }

/** Something of each kind. */
const SAMPLES: Json = {
  id: 'an-id',
  text: 'some text',
  hash: '0'.repeat(64),
  time: '2026-01-02T03:04:05.678Z',
  count: 7,
  seed: 7,
  limits: { frameBytes: 1 << 20 },
  usage: { ...COUNTS, evictedTokens: 0, contextLimit: 8192 },
  timings: { queueMs: 0, prefillMs: 0, firstTokenMs: 0, decodeMs: 0, tokensPerSecond: 0 }
}

/** The values that names stand for in one play. */
export class Names {
  readonly #known = new Map<string, unknown>()

  /** A value to be said: a name that stands for nothing yet stands for itself from now on. */
  fill(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((item) => this.fill(item))
    if (typeof value !== 'object' || value === null) return value
    const { $any: kind, as: name, $repeat: repeat } = value as Json
    if (Array.isArray(repeat)) return String(repeat[0]).repeat(Number(repeat[1]))
    if (typeof name === 'string' && kind !== undefined) {
      if (!this.#known.has(name)) this.#known.set(name, name)
      return this.#known.get(name)
    }
    if (typeof kind === 'string') return SAMPLES[kind]
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, this.fill(inner)]))
  }

  /** Takes from what was sent the values of names that stand for nothing yet. */
  learn(expected: unknown, sent: unknown): void {
    if (typeof expected !== 'object' || expected === null) return
    const { $any: kind, as: name, $repeat: repeat } = expected as Json
    if (repeat !== undefined) return
    if (kind !== undefined && typeof name === 'string') {
      if (!this.#known.has(name)) this.#known.set(name, sent)
      return
    }
    for (const [key, inner] of Object.entries(expected)) this.learn(inner, (sent as Json)[key])
  }
}

const OTHER_SPELLINGS: Readonly<Record<string, string>> = {
  agent_id: 'agentId',
  conversation_id: 'conversationId',
  user_message: 'message'
}

/** A frame with each key in one spelling; both of them must say the same. */
export function inOneSpelling(frame: Json): Json {
  const entries = Object.entries(frame).map(([key, value]) => [OTHER_SPELLINGS[key] ?? key, value] as const)
  for (const [key, value] of entries) {
    const other = entries.find(([name]) => name === key)?.[1]
    if (other !== value) throw new Error(`${key} has two values`)
  }
  return Object.fromEntries(entries)
}
