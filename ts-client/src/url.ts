// Addresses: from what the caller writes to what fetch and WebSocket take.

import { ApiError } from './errors.js'

/** Where a sidecar listens unless told otherwise. */
export const DEFAULT_BASE = 'http://localhost:8000'

/** The path of the chat socket. */
const CHAT_PATH = '/ws/chat'

/** The URL of a REST route: `path` below `base`, which may have a path of its own or be empty (same origin). */
export function restUrl(base: string, path: string): string {
  return withScheme(base, 'http').replace(/\/+$/, '') + path
}

/**
 * An id as one segment of a path. Dots alone would be taken for a path, however they are encoded.
 *
 * @throws ApiError when it can't be one; `what` says whose id it is.
 */
export function pathSegment(what: string, id: string): string {
  if (/^\.{0,2}$/.test(id)) {
    throw new ApiError(`Invalid ${what} id ${JSON.stringify(id)}`, 0, 'invalid_request')
  }
  return encodeURIComponent(id)
}

/**
 * The URL of the chat socket.
 *
 * `http` becomes `ws`, a bare origin gets `/ws/chat`, and in a browser a relative address is taken from the page.
 *
 * @throws TypeError when `backendUrl` is no URL of a WebSocket.
 */
export function socketUrl(backendUrl: string): string {
  let url: URL
  try {
    url = new URL(withScheme(backendUrl, 'ws'), pageAddress())
  } catch {
    throw new TypeError(`Invalid backendUrl: ${JSON.stringify(backendUrl)}`)
  }
  if (url.protocol === 'http:' || url.protocol === 'https:') url.protocol = url.protocol.replace('http', 'ws')
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') {
    throw new TypeError(
      `Invalid backendUrl: ${JSON.stringify(backendUrl)} is not a ws, wss, http or https URL`
    )
  }
  if (url.pathname === '/') url.pathname = CHAT_PATH
  // A WebSocket refuses a URL with a fragment.
  url.hash = ''
  return url.href
}

/** Swaps the scheme between its `http` and `ws` forms; anything else is left alone. */
function withScheme(address: string, family: 'http' | 'ws'): string {
  return address.replace(/^(?:http|ws)(s?):/i, (_, secure: string) => `${family}${secure.toLowerCase()}:`)
}

function pageAddress(): string | undefined {
  const page: { readonly location?: { readonly href?: string } } = globalThis
  return page.location?.href
}
