// The REST calls of a controller: its lease, and what it publishes by it.
import { request, type RequestOptions } from './rest.js'
import type {
  ControllerEvent,
  ControllerKeptAlive,
  ControllerLease,
  ControllerPublished,
  ControllerRegistration
} from './rest-types.js'
import { DEFAULT_BASE, pathSegment } from './url.js'

/** Who acts: what `registerController` has answered. */
export type ControllerHolder = Pick<ControllerLease, 'registrationId' | 'token'>

/** What a controller has to show to the readers of a conversation. */
export interface ControllerPublication extends ControllerHolder {
  /** Made when it is new. */
  readonly conversationId: string
  /** The turn that the events are about, also one that is over. */
  readonly turnId?: string
  /** 1 to 64 of them, in order. All are logged, or none. */
  readonly events: readonly ControllerEvent[]
}

/**
 * Registers a controller for an agent. While another one's lease lives it rejects as `conflict`, unless `token` is that
 * lease's: so a controller that was restarted takes its own lease over.
 */
export async function registerController(
  registration: ControllerRegistration & { readonly token?: string },
  base: string = DEFAULT_BASE,
  options?: RequestOptions
): Promise<ControllerLease> {
  const { token, ...body } = registration
  const headers = token === undefined ? {} : shown(token)
  return (await request({
    method: 'POST',
    base,
    path: '/controllers',
    body,
    headers,
    options
  })) as ControllerLease
}

/** Lets a lease begin anew; to be called well before it ends. */
export async function keepaliveController(
  { registrationId, token }: ControllerHolder,
  base: string = DEFAULT_BASE,
  options?: RequestOptions
): Promise<ControllerKeptAlive> {
  const path = `${controllerPath(registrationId)}/keepalive`
  return (await request({
    method: 'PUT',
    base,
    path,
    headers: shown(token),
    options
  })) as ControllerKeptAlive
}

/** Ends a lease. */
export async function releaseController(
  { registrationId, token }: ControllerHolder,
  base: string = DEFAULT_BASE,
  options?: RequestOptions
): Promise<void> {
  const path = controllerPath(registrationId)
  await request({ method: 'DELETE', base, path, headers: shown(token), options })
}

/** Publishes events in a conversation's log, where all its readers see them. */
export async function publishControllerEvents(
  publication: ControllerPublication,
  base: string = DEFAULT_BASE,
  options?: RequestOptions
): Promise<ControllerPublished> {
  const { registrationId, token, conversationId, turnId, events } = publication
  const path = `${controllerPath(registrationId)}/events`
  const body = { conversationId, ...(turnId === undefined ? {} : { turnId }), events }
  return (await request({
    method: 'POST',
    base,
    path,
    body,
    headers: shown(token),
    options
  })) as ControllerPublished
}

function controllerPath(registrationId: string): string {
  return `/controllers/${pathSegment('registration', registrationId)}`
}

function shown(token: string): Readonly<Record<string, string>> {
  return { 'x-controller-token': token }
}
