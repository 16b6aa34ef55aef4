// Parses the options of a turn: both spellings in, checked by the protocol's table, and completed with
// defaults.
import type { ChatOptions } from '../frames.js'
import type * as wire from '../generated/protocol.js'
import { isRecord } from '../json.js'
import { ProtocolError } from './protocol-error.js'

type OptionKey = keyof wire.OptionsPatch

/** The rule of one option, as text and as a check. */
interface OptionRule {
  readonly expected: string
  readonly fits: (value: unknown) => boolean
}

const MAX_SEED = Number.MAX_SAFE_INTEGER

const RULES: Readonly<Record<OptionKey, OptionRule>> = {
  temperature: real('a number from 0 to 10', (value) => value >= 0 && value <= 10),
  topP: real('a number above 0 and at most 1', (value) => value > 0 && value <= 1),
  topK: whole(0, 1_000_000),
  minP: real('a number from 0 to below 1', (value) => value >= 0 && value < 1),
  repeatPenalty: real('a number from 0.1 to 10', (value) => value >= 0.1 && value <= 10),
  seed: whole(0, MAX_SEED),
  maxNewTokens: whole(1, 8_192),
  stop: {
    expected: 'a list of at most 16 strings of 1 to 256 bytes',
    fits: (value) => Array.isArray(value) && value.length <= 16 && value.every(isStop)
  },
  sinkTokens: whole(0, 131_072),
  windowTokens: whole(1, 131_072),
  model: {
    expected: "a model's name of 1 to 256 bytes",
    fits: (value) => isStop(value) && value.trim() === value
  }
}

/** The defaults of every turn. */
const DEFAULTS: Omit<wire.EffectiveOptions, 'model'> = {
  temperature: 0.7,
  topP: 0.95,
  topK: 0,
  minP: 0,
  repeatPenalty: 1,
  maxNewTokens: 512,
  stop: [],
  sinkTokens: 4,
  windowTokens: 2_048
}

/** Parses an options object. */
export function readOptions(value: unknown): ChatOptions {
  if (value === undefined || value === null) return {}
  if (!isRecord(value)) throw wrong('options', 'an object', value)
  const read: Record<string, unknown> = {}
  for (const [spelling, own] of Object.entries(value)) {
    const key = spelling.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
    if (!isOption(key))
      throw new ProtocolError('invalid_request', `unknown option ${JSON.stringify(spelling)}`)
    if (key in read && JSON.stringify(read[key]) !== JSON.stringify(own)) {
      throw new ProtocolError(
        'invalid_request',
        `option ${JSON.stringify(key)} has two spellings with different values`
      )
    }
    if (own !== null && !RULES[key].fits(own)) throw wrong(spelling, RULES[key].expected, own)
    read[key] = own
  }
  return read as ChatOptions
}

/** Completes options with defaults; `null` counts as absent. */
export function effectiveOptions(options: ChatOptions, defaultModel: string): wire.EffectiveOptions {
  const { seed: _, ...set } = options
  const given = Object.entries(set).filter(([, value]) => value !== null)
  return { ...DEFAULTS, model: defaultModel, ...Object.fromEntries(given) }
}

/** Returns the error for an invalid value. */
export function wrong(key: string, expected: string, found: unknown): ProtocolError {
  const shown = (JSON.stringify(found) as string | undefined) ?? 'nothing'
  return new ProtocolError(
    'invalid_request',
    `key ${JSON.stringify(key)} must be ${expected}, not ${shown.slice(0, 48)}`
  )
}

function real(expected: string, inRange: (value: number) => boolean): OptionRule {
  return { expected, fits: (value) => typeof value === 'number' && inRange(value) }
}

function whole(least: number, most: number): OptionRule {
  const inRange = (value: number): boolean => Number.isSafeInteger(value) && value >= least && value <= most
  return real(`a whole number from ${least} to ${most}`, inRange)
}

function isStop(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= 256
}

function isOption(key: string): key is OptionKey {
  return Object.hasOwn(RULES, key)
}
