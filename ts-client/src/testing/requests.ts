// Everything that the harness was sent, in the order in which it came.

/** One text frame. */
export interface ReceivedFrame {
  readonly kind: 'frame'
  /** Which socket sent it: 1, 2, 3 in the order of their opening. */
  readonly socket: number
  /** The JSON value, or the text when it is none. */
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
  /** The JSON value, the text when it is none, `undefined` when it is empty. */
  readonly body: unknown
}

/** What the harness was sent. */
export type ReceivedRequest = ReceivedFrame | ReceivedHttp

/** The JSON value of a text; the text itself when it is none. */
export function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
