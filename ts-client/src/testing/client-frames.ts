// Parses the frames of a client: either spelling of each key in, one checked frame out, as
// `ClientMessage::parse` in Rust.
import type { ChatOptions, ToolDefinition } from '../frames.js'
import { isRecord, type JsonRecord } from '../json.js'
import { ProtocolError } from './protocol-error.js'
import { readOptions, wrong } from './turn-options.js'

/** A user's message, without the defaults of the hello. */
export interface ParsedMessage {
  readonly type: 'message'
  readonly message: string
  readonly agentId: string | undefined
  readonly conversationId: string | undefined
  readonly turnId: string | undefined
  readonly parentTurnId: string | undefined
  readonly editTurnId: string | undefined
  readonly options: ChatOptions
  readonly tools: readonly ToolDefinition[] | undefined
}

/** A request for another answer to a turn's message. */
export type ParsedRegenerate = { readonly type: 'regenerate'; readonly turnId: string } & Pick<
  ParsedMessage,
  'conversationId' | 'options' | 'tools'
> & { readonly newTurnId: string | undefined }

/** Any frame of a client. */
export type ClientFrame =
  | ParsedMessage
  | ParsedRegenerate
  | ({ readonly type: 'hello' } & Pick<ParsedMessage, 'agentId' | 'conversationId' | 'options'>)
  | ({ readonly type: 'cancel' } & Pick<ParsedMessage, 'turnId' | 'conversationId'>)
  | {
      readonly type: 'resume'
      readonly conversationId: string
      readonly after: number | undefined
      readonly own: boolean
    }
  | { readonly type: 'leave'; readonly conversationId: string }
  | {
      readonly type: 'tool-output'
      readonly turnId: string
      readonly callId: string
      readonly output: unknown
      readonly conversationId: string | undefined
    }
  | { readonly type: 'ping'; readonly id: string | undefined }

/** Every key of every frame, and its other spellings. */
const SPELLINGS: Readonly<Record<string, readonly string[]>> = {
  type: [],
  message: ['user_message', 'userMessage'],
  agentId: ['agent_id'],
  conversationId: ['conversation_id'],
  turnId: ['turn_id'],
  parentTurnId: ['parent_turn_id'],
  editTurnId: ['edit_turn_id'],
  newTurnId: ['new_turn_id'],
  callId: ['call_id'],
  after: [],
  own: [],
  id: [],
  tools: [],
  output: [],
  options: []
}

/** Limit of one message, in bytes. */
const MESSAGE_BYTES = 256 << 10

const ID = /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/** Parses one text frame. */
export function readFrame(text: string): ClientFrame {
  const fields = new Fields(parse(text))
  const type = fields.string('type') ?? (fields.get('message') === undefined ? 'hello' : 'message')
  const conversationId = fields.id('conversationId')
  switch (type) {
    case 'hello':
      return { type, agentId: fields.string('agentId'), conversationId, options: fields.options() }
    case 'message':
      return parseMessage(fields, conversationId)
    case 'regenerate': {
      const turnId = required('turnId', fields.id('turnId'))
      const newTurnId = fields.id('newTurnId')
      return { type, turnId, conversationId, newTurnId, options: fields.options(), tools: fields.tools() }
    }
    case 'cancel':
      return { type, turnId: fields.id('turnId'), conversationId }
    case 'resume': {
      const after = fields.count('after')
      return {
        type,
        conversationId: required('conversationId', conversationId),
        after,
        own: fields.flag('own')
      }
    }
    case 'leave':
      return { type, conversationId: required('conversationId', conversationId) }
    case 'tool-output':
      return {
        type,
        turnId: required('turnId', fields.id('turnId')),
        callId: required('callId', fields.string('callId')),
        output: required('output', fields.nullable('output')),
        conversationId
      }
    case 'ping':
      return { type, id: fields.string('id') }
    default:
      throw new ProtocolError('invalid_request', `unknown type ${JSON.stringify(type)}`)
  }
}

/** Returns the turn and conversation that a frame names, so that its refusal can name them too. */
export function subjectOf(text: string): { readonly conversationId?: string; readonly turnId?: string } {
  const named = (key: string): string | undefined => {
    try {
      return new Fields(parse(text)).id(key)
    } catch {
      return undefined
    }
  }
  const conversationId = named('conversationId')
  const turnId = (isRegenerate(text) ? named('newTurnId') : undefined) ?? named('turnId')
  return {
    ...(conversationId === undefined ? {} : { conversationId }),
    ...(turnId === undefined ? {} : { turnId })
  }
}

function isRegenerate(text: string): boolean {
  try {
    return parse(text)['type'] === 'regenerate'
  } catch {
    return false
  }
}

/** Checks the id of a conversation or a turn. */
export function checkId(key: string, id: unknown): string {
  if (typeof id === 'string' && ID.test(id)) return id
  const rule = "letters, digits, '.', '_' or '-', beginning with a letter or digit, without '..'"
  throw wrong(key, `1 to 128 ${rule}`, id)
}

function parseMessage(fields: Fields, conversationId: string | undefined): ParsedMessage {
  const text = required('message', fields.string('message'))
  const bytes = Buffer.byteLength(text)
  if (bytes > MESSAGE_BYTES) {
    throw new ProtocolError('too_large', `the message has ${bytes} bytes, and ${MESSAGE_BYTES} are allowed`)
  }
  if (text.trim() === '') throw new ProtocolError('invalid_request', 'key "message" must not be blank')
  return {
    type: 'message',
    message: text,
    agentId: fields.string('agentId'),
    conversationId,
    turnId: fields.id('turnId'),
    parentTurnId: fields.id('parentTurnId'),
    editTurnId: fields.id('editTurnId'),
    options: fields.options(),
    tools: fields.tools()
  }
}

function parse(text: string): JsonRecord {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new ProtocolError('invalid_request', `not a valid JSON object: ${(error as SyntaxError).message}`)
  }
  if (!isRecord(value)) throw new ProtocolError('invalid_request', 'not a valid JSON object')
  return value
}

function required<T>(key: string, value: T | undefined): T {
  if (value === undefined) throw new ProtocolError('invalid_request', `key ${JSON.stringify(key)} is missing`)
  return value
}

/** The known fields of one object, under one spelling each. */
class Fields {
  readonly #fields = new Map<string, unknown>()

  constructor(record: JsonRecord) {
    for (const [name, others] of Object.entries(SPELLINGS)) {
      const used = [name, ...others].filter((spelling) => Object.hasOwn(record, spelling))
      const [first, ...rest] = used
      if (first === undefined) continue
      const value = record[first]
      const other = rest.find((spelling) => JSON.stringify(record[spelling]) !== JSON.stringify(value))
      if (other !== undefined) {
        const keys = `keys ${JSON.stringify(first)} and ${JSON.stringify(other)}`
        throw new ProtocolError('invalid_request', `${keys} mean the same and have different values`)
      }
      this.#fields.set(name, value)
    }
  }

  /** Returns the value; `null` counts as absent. */
  get(name: string): unknown {
    return this.#fields.get(name) ?? undefined
  }

  nullable(name: string): unknown {
    return this.#fields.get(name)
  }

  string(name: string): string | undefined {
    return this.#checked(name, 'a string', (value) => typeof value === 'string') as string | undefined
  }

  id(name: string): string | undefined {
    const id = this.string(name)
    return id === undefined ? undefined : checkId(name, id)
  }

  count(name: string): number | undefined {
    const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
    return this.#checked(name, 'a whole number, 0 or more', isCount) as number | undefined
  }

  flag(name: string): boolean {
    return this.#checked(name, 'true or false', (value) => typeof value === 'boolean') === true
  }

  options(): ChatOptions {
    return readOptions(this.get('options'))
  }

  tools(): readonly ToolDefinition[] | undefined {
    const isTool = (tool: unknown): boolean =>
      isRecord(tool) && typeof tool['name'] === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(tool['name'])
    const fits = (value: unknown): boolean =>
      Array.isArray(value) &&
      value.length <= 64 &&
      value.every(isTool) &&
      areDistinct(value as ToolDefinition[])
    const expected = 'at most 64 of {name, description?, parameters?} with different names'
    return this.#checked('tools', expected, fits) as readonly ToolDefinition[] | undefined
  }

  #checked(name: string, expected: string, fits: (value: unknown) => boolean): unknown {
    const value = this.get(name)
    if (value !== undefined && !fits(value)) throw wrong(name, expected, value)
    return value
  }
}

function areDistinct(tools: readonly ToolDefinition[]): boolean {
  return new Set(tools.map((tool) => tool.name)).size === tools.length
}
