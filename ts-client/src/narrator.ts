// The REST calls about a workspace's narrator.
import { request, type RequestOptions } from './rest.js'
import type { NarratorAccepted, NarratorFeed } from './rest-types.js'
import { DEFAULT_BASE, pathSegment } from './url.js'

/** Something to say to a workspace's narrator. */
export interface OutgoingNarratorMessage {
  readonly workspaceId: string
  readonly message: string
  /** Where the narration goes; the workspace's own conversation when absent. */
  readonly conversationId?: string
  /** The agent that is asked; `controller` when absent. */
  readonly agentId?: string
  /** Resolves as soon as the message is taken, and not only when the relay has answered (45 s at most). */
  readonly respondAsync?: boolean
}

/** Which part of a feed. */
export interface NarratorFeedQuery {
  /** At most so many entries, the newest ones: 1 to 200; 50 when absent. */
  readonly limit?: number
  /** Only what went to this conversation. */
  readonly conversationId?: string
}

/**
 * Says something to a workspace's narrator. What comes of it are `narration` events in the conversation that the answer
 * names (`streamChat({ conversationId, after: 0, … })` shows them), and entries of the feed.
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

/** Reads what has been said in a workspace, the newest first. */
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
