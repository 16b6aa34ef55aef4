// The four REST calls about agents.
import { ApiError } from './errors.js'
import type { Frozen } from './frozen.js'
import type * as wire from './generated/protocol.js'
import { isRecord } from './json.js'
import { request, type RequestOptions } from './rest.js'
import { DEFAULT_BASE, pathSegment } from './url.js'

/** An agent: who it is (`system_prompt`) and what it knows (`markdown_context`). */
export type Agent = Frozen<wire.Agent>

/** Lists the agents. */
export async function listAgents(
  base: string = DEFAULT_BASE,
  options?: RequestOptions
): Promise<readonly Agent[]> {
  const body = await request({ method: 'GET', base, path: '/agents', options })
  const agents = isRecord(body) ? body['agents'] : undefined
  if (!Array.isArray(agents)) throw new ApiError('GET /agents answered without a list of agents', 200)
  return agents as readonly Agent[]
}

/** Reads one agent; rejects with the server's message if there is none. */
export async function getAgent(
  id: string,
  base: string = DEFAULT_BASE,
  options?: RequestOptions
): Promise<Agent> {
  return (await request({ method: 'GET', base, path: agentPath(id), options })) as Agent
}

/** Creates an agent, or replaces the one with this id, and returns it as it is stored. */
export async function updateAgent(
  agent: Agent,
  base: string = DEFAULT_BASE,
  options?: RequestOptions
): Promise<Agent> {
  const { id, name, system_prompt, markdown_context } = agent
  const body = { name, system_prompt, markdown_context }
  return (await request({ method: 'PUT', base, path: agentPath(id), body, options })) as Agent
}

/** Deletes an agent; rejects with the server's message if there is none. */
export async function deleteAgent(
  id: string,
  base: string = DEFAULT_BASE,
  options?: RequestOptions
): Promise<void> {
  await request({ method: 'DELETE', base, path: agentPath(id), options })
}

function agentPath(id: string): string {
  return `/agents/${pathSegment('agent', id)}`
}
