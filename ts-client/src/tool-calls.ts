// The tool calls of a stream: which handler answers them, and which outputs the server has. Every call is
// answered once.
import type { ToolOutputFrame } from './frames.js'
import type { EventOf } from './events.js'

/** Outputs for turns of other readers that may wait for a connection; a model calls a few tools at a time. */
const MAX_WAITING = 512

/** The server's limit of one frame, until `ready` names another. */
const FRAME_BYTES = 1 << 20

/** Bytes of a frame beside the output: ids of at most 128 bytes, keys. */
const FRAME_REST_BYTES = 1024

/** A tool call of the model. */
export interface ToolCall {
  readonly conversationId: string
  readonly turnId: string
  /** Identifies the call within its turn. */
  readonly callId: string
  /** The tool's name. */
  readonly name: string
  /** Its arguments, which come from the model: validate them. */
  readonly payload: unknown
}

/**
 * Answers a tool call with its output, any JSON; `undefined` becomes `null`.
 *
 * What it throws is sent to the model as `{ error: message }`.
 */
export type ToolHandler = (call: ToolCall) => unknown

/** The answer to a `tool` event. */
export interface ToolAnswer {
  readonly turnId: string
  readonly callId: string
  /** Any JSON; `undefined` becomes `null`. */
  readonly output: unknown
  /** The turn's conversation; needed only for a turn of another reader in another conversation. */
  readonly conversationId?: string
}

/** The state of one call. */
interface CallState {
  readonly isAnswered: boolean
  /** The output, until the log has shown it. */
  readonly unconfirmed: ToolOutputFrame | undefined
  /** Whether the output was sent again, and so may be refused. */
  readonly isResent: boolean
}

/** The calls of every turn, by their ids. */
export class ToolCalls {
  readonly #send: (frame: ToolOutputFrame) => boolean
  readonly #turns = new Map<string, Map<string, CallState>>()
  #frameBytes = FRAME_BYTES
  /** Outputs for turns of other readers that wait for a connection. */
  #waiting: readonly ToolOutputFrame[] = []

  /** `send` returns whether there was a connection. */
  constructor(send: (frame: ToolOutputFrame) => boolean) {
    this.#send = send
  }

  /** Records the server's limit: a larger frame would close every new connection. */
  limit({ limits }: EventOf<'ready'>): void {
    if (typeof limits.frameBytes === 'number') this.#frameBytes = limits.frameBytes
  }

  /** Starts tracking the calls of a turn of this stream. */
  track(turnId: string): void {
    this.#turns.set(turnId, new Map())
  }

  /** Stops tracking a turn that has ended: its calls need no output. */
  untrack(turnId: string): void {
    this.#turns.delete(turnId)
  }

  /** Calls `handler` for a call, unless it was called or answered before. */
  ask(call: ToolCall, handler: ToolHandler): void {
    const calls = this.#turns.get(call.turnId)
    // Without an id, no output finds its call.
    if (calls === undefined || call.callId === '' || calls.has(call.callId)) return
    calls.set(call.callId, { isAnswered: false, unconfirmed: undefined, isResent: false })
    void this.#run(call, handler)
  }

  /**
   * Answers a call, now or as soon as there is a connection. Only the first answer counts.
   *
   * @throws TypeError if the output isn't JSON, RangeError if it is too large for the server, or too many
   * wait.
   */
  answer(frame: ToolOutputFrame): void {
    const encoded = { ...frame, output: this.#toJson(frame.output) }
    const calls = this.#turns.get(encoded.turnId)
    if (calls === undefined) {
      this.#sendOnce(encoded)
      return
    }
    if (calls.get(encoded.callId)?.isAnswered === true) return
    calls.set(encoded.callId, { isAnswered: true, unconfirmed: encoded, isResent: false })
    this.#send(encoded)
  }

  /** Records that the log holds a call's output, from any client. */
  confirm(turnId: string, callId: string): void {
    const calls = this.#turns.get(turnId)
    const isResent = calls?.get(callId)?.isResent ?? false
    calls?.set(callId, { isAnswered: true, unconfirmed: undefined, isResent })
  }

  /** Sends again, on a new connection, what may not have arrived on the one before. */
  resend(): void {
    this.#waiting = this.#waiting.filter((frame) => !this.#send(frame))
    for (const calls of this.#turns.values()) {
      for (const [callId, call] of calls) {
        if (call.unconfirmed !== undefined && this.#send(call.unconfirmed)) {
          calls.set(callId, { ...call, isResent: true })
        }
      }
    }
  }

  /**
   * Returns whether a refusal may be of an output that was sent again, and so had arrived. Each hides one
   * refusal.
   */
  hidesRefusal(turnId: string): boolean {
    const calls = this.#turns.get(turnId)
    for (const [callId, call] of calls ?? []) {
      if (!call.isResent) continue
      calls?.set(callId, { ...call, isResent: false })
      return true
    }
    return false
  }

  async #run(call: ToolCall, handler: ToolHandler): Promise<void> {
    const { conversationId, turnId, callId } = call
    const reply = (output: unknown): void => {
      // A turn that has ended needs no output.
      if (this.#turns.has(turnId))
        this.answer({ type: 'tool-output', turnId, callId, output, conversationId })
    }
    try {
      reply(await handler(call))
    } catch (error) {
      reply({ error: error instanceof Error ? error.message : String(error) })
    }
  }

  /** Sends the output for a turn of another reader: once. */
  #sendOnce(frame: ToolOutputFrame): void {
    if (this.#waiting.length >= MAX_WAITING) {
      throw new RangeError(`${MAX_WAITING} tool outputs wait for a connection already`)
    }
    if (!this.#send(frame)) this.#waiting = [...this.#waiting, frame]
  }

  /** Returns a copy of an output as JSON represents it. */
  #toJson(output: unknown): unknown {
    const text = JSON.stringify(output ?? null) as string | undefined
    if (text === undefined) throw new TypeError('A tool output must be JSON')
    const bytes = new TextEncoder().encode(text).length
    const limit = this.#frameBytes - FRAME_REST_BYTES
    if (bytes > limit) {
      throw new RangeError(`The tool output has ${bytes} bytes, and ${limit} are allowed`)
    }
    return JSON.parse(text)
  }
}
