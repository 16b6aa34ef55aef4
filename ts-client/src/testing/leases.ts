// The leases of controllers: one holder an agent and workspace, until it ends, is released, or is taken over by its token.
import type { ControllerLease, ControllerRegistration } from '../rest-types.js'
import { newId } from '../ids.js'
import { Fault } from './faults.js'

const DEFAULT_TTL_SECONDS = 60
const MAX_TTL_SECONDS = 3_600

/** A lease that was given, whether or not it lives. */
export interface Lease {
  readonly registrationId: string
  readonly token: string
  readonly agentId: string
  readonly workspaceId: string | undefined
  readonly ttlMs: number
  readonly endsAtMs: number
}

/** All leases. */
export class Leases {
  readonly #leases = new Map<string, Lease>()

  /** Gives a lease, also in place of the one whose token is shown. */
  register(request: ControllerRegistration, token: string | undefined): ControllerLease {
    const { agentId, workspaceId, ttlSeconds = DEFAULT_TTL_SECONDS } = request
    if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > MAX_TTL_SECONDS) {
      const rule = `key "ttlSeconds" must be 1 to ${MAX_TTL_SECONDS}, not ${ttlSeconds}`
      throw new Fault('invalid_request', rule)
    }
    const held = this.#of(agentId, workspaceId)
    if (held !== undefined && isAlive(held) && held.token !== token) {
      const where =
        workspaceId === undefined ? 'for all workspaces' : `in workspace ${JSON.stringify(workspaceId)}`
      const until = new Date(held.endsAtMs).toISOString()
      const remedy = "wait, or show that lease's token to take it over"
      const words = `agent ${JSON.stringify(agentId)} ${where} has a controller until ${until}: ${remedy}`
      // Elsewhere a `conflict` is an `If-Match` that fails.
      throw new Fault('conflict', words, 409)
    }
    if (held !== undefined) this.#leases.delete(held.registrationId)
    const ttlMs = ttlSeconds * 1_000
    const lease: Lease = {
      registrationId: newId(),
      token: newId(),
      agentId,
      workspaceId,
      ttlMs,
      endsAtMs: Date.now() + ttlMs
    }
    this.#leases.set(lease.registrationId, lease)
    return { registrationId: lease.registrationId, token: lease.token, expiresAt: endOf(lease) }
  }

  /** Lets a lease begin anew. */
  keepAlive(registrationId: string, token: string | undefined): Lease {
    const lease = this.check(registrationId, token)
    const renewed = { ...lease, endsAtMs: Date.now() + lease.ttlMs }
    this.#leases.set(registrationId, renewed)
    return renewed
  }

  /** Ends a lease. */
  release(registrationId: string, token: string | undefined): void {
    const lease = this.check(registrationId, token)
    this.#leases.set(registrationId, { ...lease, endsAtMs: Date.now() })
  }

  /** The lease, which must live and be the token's. */
  check(registrationId: string, token: string | undefined): Lease {
    const lease = this.#leases.get(registrationId)
    const named = `registration ${JSON.stringify(registrationId)}`
    if (lease !== undefined && lease.token !== token) {
      throw new Fault('forbidden', `the token is not that of ${named}`)
    }
    if (lease !== undefined && isAlive(lease)) return lease
    const how = lease === undefined ? 'is not known' : `ended at ${endOf(lease)}`
    throw new Fault(
      'controller_not_registered',
      `the lease of ${named} ${how}: register again with POST /controllers`
    )
  }

  /** Checks that somebody holds an agent's lease in a workspace. */
  checkHeld(agentId: string, workspaceId: string): void {
    const leases = [this.#of(agentId, workspaceId), this.#of(agentId, undefined)]
    if (leases.some((lease) => lease !== undefined && isAlive(lease))) return
    const last = leases.find((lease) => lease !== undefined)
    const [agent, workspace] = [JSON.stringify(agentId), JSON.stringify(workspaceId)]
    const why = last === undefined ? 'there has been none' : `its lease ended at ${endOf(last)}`
    const body = `{"agentId": ${agent}, "workspaceId": ${workspace}, "ttlSeconds": 60}`
    throw new Fault(
      'controller_not_registered',
      `no controller is registered for agent ${agent} in workspace ${workspace}: ${why}. Register one with ` +
        `POST /controllers ${body}, and keep it alive with PUT /controllers/{registrationId}/keepalive`
    )
  }

  /** Those that live. */
  all(): readonly Lease[] {
    return [...this.#leases.values()].filter(isAlive)
  }

  #of(agentId: string, workspaceId: string | undefined): Lease | undefined {
    return [...this.#leases.values()].findLast(
      (lease) => lease.agentId === agentId && lease.workspaceId === workspaceId
    )
  }
}

/** When a lease ends, RFC 3339. */
export function endOf(lease: Lease): string {
  return new Date(lease.endsAtMs).toISOString()
}

function isAlive(lease: Lease): boolean {
  return lease.endsAtMs > Date.now()
}
