// Converts the caller's addresses into those for fetch and WebSocket.

import { ApiError } from './errors.js'

/** The default address of a sidecar. */
export const DEFAULT_BASE = 'http://localhost:8000'

/** The path of the chat socket. */
const CHAT_PATH = '/ws/chat'

/**
 * Returns the URL of a REST route: `path` below `base`, which may have a path of its own or be empty (same
 * origin).
 */
export function restUrl(base: string, path: string): string {
  return withScheme(base, 'http').replace(/\/+$/, '') + path
}

/**
 * Encodes an id as one segment of a path. Dots alone would be resolved as a path, even if encoded.
 *
 * @throws ApiError if it can't be one; `what` names the kind of id.
 */
export function pathSegment(what: string, id: string): string {
  if (/^\.{0,2}$/.test(id)) {
    throw new ApiError(`Invalid ${what} id ${JSON.stringify(id)}`, 0, 'invalid_request')
  }
  return encodeURIComponent(id)
}

/**
 * Returns the URL of the chat socket.
 *
 * `http` becomes `ws`, a bare origin gets `/ws/chat`, and in a browser a relative address is resolved against
 * the page.
 *
 * @throws TypeError if `backendUrl` is no URL of a WebSocket.
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

/** Swaps the scheme between its `http` and `ws` forms; leaves others as they are. */
function withScheme(address: string, family: 'http' | 'ws'): string {
  return address.replace(/^(?:http|ws)(s?):/i, (_, secure: string) => `${family}${secure.toLowerCase()}:`)
}

function pageAddress(): string | undefined {
  const page: { readonly location?: { readonly href?: string } } = globalThis
  return page.location?.href
}
