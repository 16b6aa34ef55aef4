// Records what the harness has received, in order.

/** One text frame. */
export interface ReceivedFrame {
  readonly kind: 'frame'
  /** Which socket sent it: 1, 2, 3 in the order of their opening. */
  readonly socket: number
  /** The JSON value, or the text if it isn't JSON. */
  readonly frame: unknown
}

/** One HTTP request. */
export interface ReceivedHttp {
  readonly kind: 'http'
  readonly method: string
  /** The path without the query, still encoded. */
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** The JSON value, the text if it isn't JSON, `undefined` if it is empty. */
  readonly body: unknown
}

/** Anything that the harness has received. */
export type ReceivedRequest = ReceivedFrame | ReceivedHttp

/** Returns the JSON value of a text, or the text itself if it isn't JSON. */
export function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
