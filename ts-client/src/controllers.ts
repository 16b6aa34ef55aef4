// The REST calls of a controller: its lease, and the events that it publishes.
import { request, type RequestOptions } from './rest.js'
import type {
  ControllerEvent,
  ControllerKeptAlive,
  ControllerLease,
  ControllerPublished,
  ControllerRegistration
} from './rest-types.js'
import { DEFAULT_BASE, pathSegment } from './url.js'

/** The holder of a lease, as `registerController` has returned it. */
export type ControllerHolder = Pick<ControllerLease, 'registrationId' | 'token'>

/** Events that a controller publishes to the readers of a conversation. */
export interface ControllerPublication extends ControllerHolder {
  /** Created if it doesn't exist. */
  readonly conversationId: string
  /** The turn that the events are about; it may have ended. */
  readonly turnId?: string
  /** 1 to 64 events, in order. All are logged, or none. */
  readonly events: readonly ControllerEvent[]
}

/**
 * Registers a controller for an agent. While another lease is active it rejects as `conflict`, unless `token`
 * is that lease's: a controller that was restarted takes its own lease over.
 */
export async function registerController(
  registration: ControllerRegistration & { readonly token?: string },
  base: string = DEFAULT_BASE,
  options?: RequestOptions
): Promise<ControllerLease> {
  const { token, ...body } = registration
  const headers = token === undefined ? {} : tokenHeader(token)
  return (await request({
    method: 'POST',
    base,
    path: '/controllers',
    body,
    headers,
    options
  })) as ControllerLease
}

/** Renews a lease; to be called well before it ends. */
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
    headers: tokenHeader(token),
    options
  })) as ControllerKeptAlive
}

/** Releases a lease. */
export async function releaseController(
  { registrationId, token }: ControllerHolder,
  base: string = DEFAULT_BASE,
  options?: RequestOptions
): Promise<void> {
  const path = controllerPath(registrationId)
  await request({ method: 'DELETE', base, path, headers: tokenHeader(token), options })
}

/** Publishes events to a conversation's log, where all its readers see them. */
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
    headers: tokenHeader(token),
    options
  })) as ControllerPublished
}

function controllerPath(registrationId: string): string {
  return `/controllers/${pathSegment('registration', registrationId)}`
}

function tokenHeader(token: string): Readonly<Record<string, string>> {
  return { 'x-controller-token': token }
}
