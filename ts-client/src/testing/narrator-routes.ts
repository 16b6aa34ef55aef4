// The routes of narrators and controllers.
import { isRecord, type JsonRecord } from '../json.js'
import type { ControllerEvent } from '../rest-types.js'
import { checkId } from './client-frames.js'
import { ProtocolError } from './protocol-error.js'
import { refusal, type HttpCall, type HttpReply, type Routes } from './http.js'
import { endOf, type Lease, type Leases } from './leases.js'
import type { Conversations } from './log.js'
import type { LineEntry, Narrator } from './narrator.js'
import { wrong } from './turn-options.js'
import { unknownTurn } from './turns.js'

/** The state that the routes work on. */
export interface NarratorRouteOptions {
  readonly narrator: Narrator
  readonly leases: Leases
  readonly conversations: Conversations
}

/** Default and maximum of the entries of a feed. */
const FEED_LIMIT = { usual: 50, most: 200 }

/** Events that one call may publish. */
const MAX_EVENTS = 64

/** The required fields of events that a controller may publish. */
const PUBLISHABLE: Readonly<Record<ControllerEvent['type'], Readonly<Record<string, 'string' | 'number'>>>> =
  {
    'step-start': { step: 'number' },
    step: { step: 'number' },
    'step-finish': { step: 'number' },
    tool: { callId: 'string', name: 'string' },
    'tool-output': { callId: 'string', name: 'string' },
    summary: { text: 'string' },
    narration: { text: 'string', source: 'string' }
  }

/** Returns the routes. */
export function narratorRoutes({ narrator, leases, conversations }: NarratorRouteOptions): Routes {
  const postMessage = async (call: HttpCall): Promise<HttpReply> => {
    const body = record(call.body)
    const message = text(body, 'message')
    if (message === undefined || message.trim() === '') {
      throw new ProtocolError('invalid_request', 'message is required')
    }
    const { accepted, answered } = narrator.accept({
      message,
      workspaceId: workspaceOf(call, text(body, 'workspaceId')),
      agentId: text(body, 'agentId'),
      conversationId: id(body, 'conversationId')
    })
    if (call.headers['prefer']?.includes('respond-async') === true) {
      answered.catch(() => undefined)
      return { status: 202, body: accepted, headers: { 'preference-applied': 'respond-async' } }
    }
    try {
      await answered
    } catch (thrown) {
      return relayRefusal(ProtocolError.of(thrown))
    }
    return { status: 202, body: accepted }
  }
  const feedArguments = (call: HttpCall): readonly [string, string | undefined, number] => [
    workspaceOf(call, call.query['workspaceId']),
    id(call.query, 'conversationId'),
    limitOf(call.query['limit'])
  ]
  const feed = (call: HttpCall): HttpReply => ({ status: 200, body: narrator.feed(...feedArguments(call)) })
  const raw = (call: HttpCall): HttpReply => ({ status: 200, text: narrator.raw(...feedArguments(call)) })
  return {
    '/narrator/messages': { POST: postMessage },
    '/narrator/feed': { GET: feed },
    '/narrator/raw': { GET: raw },
    '/api/workspaces/{}/narrator/messages': { POST: postMessage },
    '/api/workspaces/{}/narrator/feed': { GET: feed },
    '/api/workspaces/{}/narrator/raw': { GET: raw },
    '/controllers': {
      GET: () => ({
        status: 200,
        body: { controllers: [...narrator.builtIn, ...leases.all().map(leaseView)] }
      }),
      POST: (call) => {
        const body = record(call.body)
        const agentId = text(body, 'agentId')
        if (agentId === undefined) throw missing('agentId')
        const workspaceId = text(body, 'workspaceId')
        const ttlSeconds = body['ttlSeconds'] as number | undefined
        const request = {
          agentId,
          ...(workspaceId === undefined ? {} : { workspaceId }),
          ...(ttlSeconds === undefined ? {} : { ttlSeconds })
        }
        const lease = leases.register(request, tokenOf(call))
        const location = `/controllers/${lease.registrationId}`
        return { status: 201, body: lease, headers: { location } }
      }
    },
    '/controllers/{}/keepalive': {
      PUT: (call) => {
        const lease = leases.keepAlive(call.ids[0] ?? '', tokenOf(call))
        return { status: 200, body: { registrationId: lease.registrationId, expiresAt: endOf(lease) } }
      }
    },
    '/controllers/{}': {
      DELETE: (call) => {
        leases.release(call.ids[0] ?? '', tokenOf(call))
        return { status: 204 }
      }
    },
    '/controllers/{}/events': {
      POST: (call) => {
        const lease = leases.check(call.ids[0] ?? '', tokenOf(call))
        return { status: 200, body: publish(lease, record(call.body), narrator, conversations) }
      }
    }
  }
}

/** Logs a controller's events: all of them, or none. */
function publish(
  lease: Lease,
  body: JsonRecord,
  narrator: Narrator,
  conversations: Conversations
): { readonly firstSeq: number; readonly lastSeq: number } {
  const conversationId = id(body, 'conversationId')
  if (conversationId === undefined) throw missing('conversationId')
  const turnId = id(body, 'turnId')
  const events = body['events']
  if (!Array.isArray(events) || events.length < 1 || events.length > MAX_EVENTS) {
    throw wrong('events', `1 to ${MAX_EVENTS} events`, Array.isArray(events) ? events.length : events)
  }
  const checked = events.map(publishable)
  if (turnId !== undefined && conversations.find(conversationId)?.turns.has(turnId) !== true) {
    throw unknownTurn(conversationId, turnId)
  }
  const conversation = conversations.open(conversationId)
  const firstSeq = conversation.lastSeq + 1
  const { workspaceId, agentId } = lease
  for (const event of checked) {
    conversation.append(turnId, event)
    if (workspaceId !== undefined) narrator.addLine({ workspaceId, conversationId, agentId }, lineOf(event))
  }
  return { firstSeq, lastSeq: conversation.lastSeq }
}

/** Returns the line of a controller's event in the workspace's log. */
function lineOf(event: ControllerEvent): LineEntry {
  const source = 'agent'
  switch (event.type) {
    case 'narration':
      return { type: 'NARRATION', source: event.source, detail: event.text, headline: event.headline }
    case 'summary':
      return { type: 'AGENT_RESULT', source, detail: event.text }
    case 'tool':
    case 'tool-output': {
      const [type, headline] =
        event.type === 'tool'
          ? (['AGENT_UPDATE', `Asks for ${event.name}`] as const)
          : (['AGENT_RESULT', `Output of ${event.name}`] as const)
      return { type, source, detail: JSON.stringify(event.payload ?? null), headline }
    }
    case 'step-start':
    case 'step':
    case 'step-finish': {
      const what = { 'step-start': 'begins', step: 'goes on', 'step-finish': 'is over' }[event.type]
      const headline = event.title ?? `Step ${event.step} ${what}`
      const detail = event.payload === undefined ? headline : JSON.stringify(event.payload)
      return {
        type: event.type === 'step-finish' ? 'AGENT_RESULT' : 'AGENT_UPDATE',
        source,
        detail,
        headline
      }
    }
  }
}

function publishable(event: unknown): ControllerEvent {
  const type = isRecord(event) ? event['type'] : undefined
  if (!isRecord(event) || typeof type !== 'string' || !Object.hasOwn(PUBLISHABLE, type)) {
    const known = Object.keys(PUBLISHABLE).join(', ')
    throw wrong('events', `events of the types ${known}`, event)
  }
  const shape = PUBLISHABLE[type as ControllerEvent['type']]
  const missing = Object.entries(shape).find(([field, kind]) => typeof event[field] !== kind)
  if (missing !== undefined) throw wrong(`${type}.${missing[0]}`, `a ${missing[1]}`, event[missing[0]])
  return event as unknown as ControllerEvent
}

/**
 * Converts an error to a response; a relay's failure has its code as `error` too, which the host application
 * reads.
 */
function relayRefusal(error: ProtocolError): HttpReply {
  const isRelay = error.code === 'relay_failed' || error.code === 'relay_timeout'
  const reply = refusal(error)
  return isRelay ? { ...reply, body: { error: error.code, ...(reply.body as object) } } : reply
}

function leaseView({ registrationId, agentId, workspaceId, ...lease }: Lease): object {
  const expiresAt = endOf({ registrationId, agentId, workspaceId, ...lease })
  return { registrationId, agentId, ...(workspaceId === undefined ? {} : { workspaceId }), expiresAt }
}

function workspaceOf(call: HttpCall, given: string | undefined): string {
  const ofPath = call.ids[0]
  if (ofPath !== undefined && given !== undefined && given !== ofPath) {
    const [body, path] = [JSON.stringify(given), JSON.stringify(ofPath)]
    throw new ProtocolError('invalid_request', `the body's workspaceId ${body} is not the path's ${path}`)
  }
  const workspaceId = ofPath ?? given ?? ''
  if (workspaceId.trim() !== '') return workspaceId
  throw new ProtocolError(
    'invalid_request',
    'key "workspaceId" must have 1 to 1024 bytes and a visible character'
  )
}

function limitOf(given: string | undefined): number {
  const limit = given === undefined ? FEED_LIMIT.usual : Number(given)
  if (Number.isInteger(limit) && limit >= 1 && limit <= FEED_LIMIT.most) return limit
  throw new ProtocolError('invalid_request', `limit=${given} must be 1 to ${FEED_LIMIT.most}`)
}

function tokenOf(call: HttpCall): string | undefined {
  return call.headers['x-controller-token']
}

function missing(key: string): ProtocolError {
  return new ProtocolError('invalid_request', `missing field \`${key}\``)
}

function record(body: unknown): JsonRecord {
  if (isRecord(body)) return body
  throw new ProtocolError('invalid_request', 'not a valid JSON object')
}

function text(from: JsonRecord, key: string): string | undefined {
  const value = from[key] ?? undefined
  if (value === undefined || typeof value === 'string') return value
  throw wrong(key, 'a string', value)
}

function id(from: JsonRecord, key: string): string | undefined {
  const value = text(from, key)
  return value === undefined ? undefined : checkId(key, value)
}
