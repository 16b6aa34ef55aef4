// The REST calls about a workspace's narrator.
import { request, type RequestOptions } from './rest.js'
import type { NarratorAccepted, NarratorFeed } from './rest-types.js'
import { DEFAULT_BASE, pathSegment } from './url.js'

/** A message to a workspace's narrator. */
export interface OutgoingNarratorMessage {
  readonly workspaceId: string
  readonly message: string
  /** Where the narration goes; the workspace's own conversation if absent. */
  readonly conversationId?: string
  /** The agent that is asked; `controller` if absent. */
  readonly agentId?: string
  /** Resolves as soon as the message is accepted, rather than when the relay has answered (45 s at most). */
  readonly respondAsync?: boolean
}

/** Selects a part of a feed. */
export interface NarratorFeedQuery {
  /** At most this many entries, the newest ones: 1 to 200; 50 if absent. */
  readonly limit?: number
  /** Only entries of this conversation. */
  readonly conversationId?: string
}

/**
 * Sends a message to a workspace's narrator. The results are `narration` events in the conversation that the
 * response names (`streamChat({ conversationId, after: 0, … })` shows them), and entries of the feed.
 */
export async function postNarratorMessage(
  outgoing: OutgoingNarratorMessage,
  base: string = DEFAULT_BASE,
  options?: RequestOptions
): Promise<NarratorAccepted> {
  const { respondAsync, ...body } = outgoing
  const headers = respondAsync === true ? { prefer: 'respond-async' } : {}
  const path = '/narrator/messages'
  return (await request({ method: 'POST', base, path, body, headers, options })) as NarratorAccepted
}

/** Reads a workspace's feed, the newest entry first. */
export async function narratorFeed(
  workspaceId: string,
  query: NarratorFeedQuery = {},
  base: string = DEFAULT_BASE,
  options?: RequestOptions
): Promise<NarratorFeed> {
  const { limit, conversationId } = query
  const keys = new URLSearchParams()
  if (limit !== undefined) keys.set('limit', String(limit))
  if (conversationId !== undefined) keys.set('conversationId', conversationId)
  const tail = String(keys) === '' ? '' : `?${keys}`
  const path = `/api/workspaces/${pathSegment('workspace', workspaceId)}/narrator/feed${tail}`
  return (await request({ method: 'GET', base, path, options })) as NarratorFeed
}
