// The leases of controllers: one holder per agent and workspace, until the lease ends, is released, or is
// taken over by its token.
import type { ControllerLease, ControllerRegistration } from '../rest-types.js'
import { newId } from '../ids.js'
import { ProtocolError } from './protocol-error.js'

const DEFAULT_TTL_SECONDS = 60
const MAX_TTL_SECONDS = 3_600

/** A lease, active or not. */
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

  /** Registers a lease; it replaces the active one only if `token` is that lease's. */
  register(request: ControllerRegistration, token: string | undefined): ControllerLease {
    const { agentId, workspaceId, ttlSeconds = DEFAULT_TTL_SECONDS } = request
    if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > MAX_TTL_SECONDS) {
      const rule = `key "ttlSeconds" must be 1 to ${MAX_TTL_SECONDS}, not ${ttlSeconds}`
      throw new ProtocolError('invalid_request', rule)
    }
    const held = this.#of(agentId, workspaceId)
    if (held !== undefined && isActive(held) && held.token !== token) {
      const where =
        workspaceId === undefined ? 'for all workspaces' : `in workspace ${JSON.stringify(workspaceId)}`
      const until = new Date(held.endsAtMs).toISOString()
      const remedy = "wait, or show that lease's token to take it over"
      const message = `agent ${JSON.stringify(agentId)} ${where} has a controller until ${until}: ${remedy}`
      // Elsewhere a `conflict` is an `If-Match` that fails.
      throw new ProtocolError('conflict', message, 409)
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

  /** Renews a lease. */
  keepAlive(registrationId: string, token: string | undefined): Lease {
    const lease = this.check(registrationId, token)
    const renewed = { ...lease, endsAtMs: Date.now() + lease.ttlMs }
    this.#leases.set(registrationId, renewed)
    return renewed
  }

  /** Releases a lease. */
  release(registrationId: string, token: string | undefined): void {
    const lease = this.check(registrationId, token)
    this.#leases.set(registrationId, { ...lease, endsAtMs: Date.now() })
  }

  /** Returns the lease, which must be active and belong to the token. */
  check(registrationId: string, token: string | undefined): Lease {
    const lease = this.#leases.get(registrationId)
    const named = `registration ${JSON.stringify(registrationId)}`
    if (lease !== undefined && lease.token !== token) {
      throw new ProtocolError('forbidden', `the token is not that of ${named}`)
    }
    if (lease !== undefined && isActive(lease)) return lease
    const how = lease === undefined ? 'is not known' : `ended at ${endOf(lease)}`
    throw new ProtocolError(
      'controller_not_registered',
      `the lease of ${named} ${how}: register again with POST /controllers`
    )
  }

  /** Checks that an agent's lease in a workspace is active. */
  checkHeld(agentId: string, workspaceId: string): void {
    const leases = [this.#of(agentId, workspaceId), this.#of(agentId, undefined)]
    if (leases.some((lease) => lease !== undefined && isActive(lease))) return
    const last = leases.find((lease) => lease !== undefined)
    const [agent, workspace] = [JSON.stringify(agentId), JSON.stringify(workspaceId)]
    const why = last === undefined ? 'there has been none' : `its lease ended at ${endOf(last)}`
    const body = `{"agentId": ${agent}, "workspaceId": ${workspace}, "ttlSeconds": 60}`
    throw new ProtocolError(
      'controller_not_registered',
      `no controller is registered for agent ${agent} in workspace ${workspace}: ${why}. Register one with ` +
        `POST /controllers ${body}, and keep it alive with PUT /controllers/{registrationId}/keepalive`
    )
  }

  /** Returns the active leases. */
  all(): readonly Lease[] {
    return [...this.#leases.values()].filter(isActive)
  }

  #of(agentId: string, workspaceId: string | undefined): Lease | undefined {
    return [...this.#leases.values()].findLast(
      (lease) => lease.agentId === agentId && lease.workspaceId === workspaceId
    )
  }
}

/** Returns when a lease ends, in RFC 3339. */
export function endOf(lease: Lease): string {
  return new Date(lease.endsAtMs).toISOString()
}

function isActive(lease: Lease): boolean {
  return lease.endsAtMs > Date.now()
}
