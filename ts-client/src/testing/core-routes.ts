// The routes of agents, models, conversations and health.
import type { Agent } from '../agents.js'
import type * as wire from '../generated/protocol.js'
import { isRecord } from '../json.js'
import { ProtocolError } from './protocol-error.js'
import { unprocessable, type HttpCall, type HttpReply, type Routes } from './http.js'
import type { Conversations } from './log.js'

/** The state that the routes work on. */
export interface CoreRouteOptions {
  readonly agents: Map<string, Agent>
  readonly models: readonly wire.Model[]
  readonly conversations: Conversations
  readonly bootId: string
  /** Cancels what runs in a conversation, deletes it, and notifies its readers. */
  readonly deleteConversation: (id: string) => Promise<void>
}

/** An agent's id is a file's name: safe on every file system. */
const AGENT_ID =
  /^(?!.*\.\.)(?!.*\.$)(?!(?:con|prn|aux|nul|com[1-9]|lpt[1-9])(?:\.|$))[a-z0-9][a-z0-9._-]{0,63}$/

/** Default and maximum of each page size. */
const PAGES = { conversations: [50, 200], turns: [100, 200], events: [500, 1_000] } as const

/** Returns the routes. */
export function coreRoutes(options: CoreRouteOptions): Routes {
  const { agents, models, conversations, bootId, deleteConversation } = options
  const [first] = models
  const alive = (): HttpReply => ({ status: 200, body: { status: 'ok', version: 'harness', bootId } })
  return {
    '/healthz': { GET: alive },
    '/health': { GET: alive },
    '/readyz': { GET: () => ({ status: 200, body: { status: 'ready', model: first?.model } }) },
    '/models': { GET: () => ({ status: 200, body: { defaultModel: first?.model ?? '', models } }) },
    '/agents': { GET: () => ({ status: 200, body: { agents: sorted(agents) } }) },
    '/agents/{}': {
      GET: ({ ids: [id = ''] }) => ({ status: 200, body: existing(agents, id) }),
      PUT: (call) => put(agents, call),
      DELETE: ({ ids: [id = ''] }) => {
        existing(agents, id)
        agents.delete(id)
        return { status: 204 }
      }
    },
    '/conversations': { GET: (call) => list(conversations, call) },
    '/conversations/{}': {
      GET: (call) => one(conversations, call),
      DELETE: async ({ ids: [id = ''] }) => {
        await deleteConversation(id)
        return { status: 204 }
      }
    },
    '/conversations/{}/events': { GET: (call) => events(conversations, call) }
  }
}

function existing(agents: ReadonlyMap<string, Agent>, id: string): Agent {
  const agent = agents.get(id)
  if (agent === undefined) throw new ProtocolError('agent_not_found', 'Agent not found')
  return agent
}

function put(agents: Map<string, Agent>, { ids: [id = ''], body }: HttpCall): HttpReply {
  if (!AGENT_ID.test(id)) throw unprocessable(`agent id ${JSON.stringify(id)} is not a safe file name`)
  if (!isRecord(body)) throw unprocessable('not a valid JSON object')
  const field = (key: string): string => {
    const value = body[key]
    if (typeof value === 'string') return value
    throw unprocessable(value === undefined ? `missing field \`${key}\`` : `key "${key}" must be a string`)
  }
  if (body['id'] !== undefined && body['id'] !== id) {
    throw unprocessable(`the body's id ${JSON.stringify(body['id'])} is not the path's ${JSON.stringify(id)}`)
  }
  const name = field('name')
  if (name.trim() === '') throw unprocessable('key "name" must not be blank')
  const isNew = !agents.has(id)
  const agent: Agent = {
    id,
    name,
    system_prompt: field('system_prompt'),
    markdown_context: field('markdown_context')
  }
  agents.set(id, agent)
  return {
    status: isNew ? 201 : 200,
    body: agent,
    ...(isNew ? { headers: { location: `/agents/${id}` } } : {})
  }
}

function list(conversations: Conversations, { query }: HttpCall): HttpReply {
  const size = pageSize(query, PAGES.conversations)
  const start = count(query, 'cursor') ?? 0
  const all = conversations.all()
  const page = all.slice(start, start + size).map((conversation) => conversation.summary())
  const next = start + size < all.length ? String(start + size) : null
  return { status: 200, body: { conversations: page, nextCursor: next } }
}

function one(conversations: Conversations, { ids: [id = ''], query }: HttpCall): HttpReply {
  const size = pageSize(query, PAGES.turns)
  const start = count(query, 'cursor') ?? 0
  const conversation = conversations.existing(id)
  const turns = [...conversation.turns.values()]
  const next = start + size < turns.length ? String(start + size) : null
  const page = turns.slice(start, start + size)
  return { status: 200, body: { ...conversation.summary(), turns: page, nextCursor: next } }
}

function events(conversations: Conversations, { ids: [id = ''], query }: HttpCall): HttpReply {
  const after = count(query, 'after') ?? 0
  const size = pageSize(query, PAGES.events)
  const conversation = conversations.existing(id)
  const page = conversation.events.slice(after, after + size)
  return { status: 200, body: { events: page, lastSeq: conversation.lastSeq } }
}

function pageSize(query: HttpCall['query'], [usual, most]: readonly [number, number]): number {
  const size = count(query, 'limit') ?? usual
  if (size >= 1 && size <= most) return size
  throw new ProtocolError('invalid_request', `limit=${size} must be 1 to ${most}`)
}

function count(query: HttpCall['query'], key: string): number | undefined {
  const text = query[key]
  if (text === undefined) return undefined
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new ProtocolError('invalid_request', `${key}=${text} must be a whole number, 0 or more`)
}

function sorted(agents: ReadonlyMap<string, Agent>): readonly Agent[] {
  return [...agents.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}
