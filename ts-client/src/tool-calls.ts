// The tool calls of a stream: who answers them, and which answers the server has. Every call is answered once.
import type { ToolOutputFrame } from './frames.js'
import type { EventOf } from './events.js'

/** Answers to turns of others that may wait for a connection; a model asks for a few at a time. */
const MAX_WAITING = 512

/** What a server takes in one frame unless it says otherwise. */
const FRAME_BYTES = 1 << 20

/** What a frame says beside the output: ids of at most 128 bytes, keys. */
const FRAME_REST_BYTES = 1024

/** A tool that the model asks for. */
export interface ToolCall {
  readonly conversationId: string
  readonly turnId: string
  /** Names the call within its turn. */
  readonly callId: string
  /** The tool's name. */
  readonly name: string
  /** Its arguments, which come from the model: check them. */
  readonly payload: unknown
}

/**
 * Answers a tool call with its output, any JSON; `undefined` is said as `null`.
 *
 * What it throws is said to the model as `{ error: message }`.
 */
export type ToolHandler = (call: ToolCall) => unknown

/** The answer to a `tool` event. */
export interface ToolAnswer {
  readonly turnId: string
  readonly callId: string
  /** Any JSON; `undefined` is said as `null`. */
  readonly output: unknown
  /** The turn's conversation; needed only for a turn that this stream didn't send, in another one than its own. */
  readonly conversationId?: string
}

/** One call as this stream knows it. */
interface Call {
  readonly isAnswered: boolean
  /** The answer, as long as the log hasn't shown it. */
  readonly unconfirmed: ToolOutputFrame | undefined
  /** Whether the answer was said again, and so may be refused. */
  readonly isRepeated: boolean
}

/** The calls of every turn, by their ids. */
export class ToolCalls {
  readonly #send: (frame: ToolOutputFrame) => boolean
  readonly #turns = new Map<string, Map<string, Call>>()
  #frameBytes = FRAME_BYTES
  /** Answers to turns of others that found no connection to leave by. */
  #waiting: readonly ToolOutputFrame[] = []

  /** `send` says whether there was a connection. */
  constructor(send: (frame: ToolOutputFrame) => boolean) {
    this.#send = send
  }

  /** Notes how much the server takes: a frame that is larger would end every connection anew. */
  limit({ limits }: EventOf<'ready'>): void {
    if (typeof limits.frameBytes === 'number') this.#frameBytes = limits.frameBytes
  }

  /** Begins to follow the calls of a turn of ours. */
  follow(turnId: string): void {
    this.#turns.set(turnId, new Map())
  }

  /** Forgets a turn that is over: nobody waits for its calls. */
  forget(turnId: string): void {
    this.#turns.delete(turnId)
  }

  /** Has `handler` answer a call, unless it does already or somebody has. */
  ask(call: ToolCall, handler: ToolHandler): void {
    const calls = this.#turns.get(call.turnId)
    // Without a name, no answer finds its call.
    if (calls === undefined || call.callId === '' || calls.has(call.callId)) return
    calls.set(call.callId, { isAnswered: false, unconfirmed: undefined, isRepeated: false })
    void this.#run(call, handler)
  }

  /**
   * Answers a call, now or as soon as there is a connection. The first answer counts.
   *
   * @throws TypeError when JSON can't say the output, RangeError when the server won't take it, or too many wait.
   */
  answer(frame: ToolOutputFrame): void {
    const said = { ...frame, output: this.#sayable(frame.output) }
    const calls = this.#turns.get(said.turnId)
    if (calls === undefined) {
      this.#pass(said)
      return
    }
    if (calls.get(said.callId)?.isAnswered === true) return
    calls.set(said.callId, { isAnswered: true, unconfirmed: said, isRepeated: false })
    this.#send(said)
  }

  /** Notes that the log holds a call's answer, whoever gave it. */
  confirm(turnId: string, callId: string): void {
    const calls = this.#turns.get(turnId)
    const isRepeated = calls?.get(callId)?.isRepeated ?? false
    calls?.set(callId, { isAnswered: true, unconfirmed: undefined, isRepeated })
  }

  /** Says again, on a new connection, what may not have arrived on the one before. */
  repeat(): void {
    this.#waiting = this.#waiting.filter((frame) => !this.#send(frame))
    for (const calls of this.#turns.values()) {
      for (const [callId, call] of calls) {
        if (call.unconfirmed !== undefined && this.#send(call.unconfirmed)) {
          calls.set(callId, { ...call, isRepeated: true })
        }
      }
    }
  }

  /** Whether a refusal can be of an answer that was said again, which then had arrived. Each excuses one. */
  excuses(turnId: string): boolean {
    const calls = this.#turns.get(turnId)
    for (const [callId, call] of calls ?? []) {
      if (!call.isRepeated) continue
      calls?.set(callId, { ...call, isRepeated: false })
      return true
    }
    return false
  }

  async #run(call: ToolCall, handler: ToolHandler): Promise<void> {
    const { conversationId, turnId, callId } = call
    const reply = (output: unknown): void => {
      // A turn that is over needs no answer.
      if (this.#turns.has(turnId))
        this.answer({ type: 'tool-output', turnId, callId, output, conversationId })
    }
    try {
      reply(await handler(call))
    } catch (error) {
      reply({ error: error instanceof Error ? error.message : String(error) })
    }
  }

  /** The answer to a turn that isn't ours: said once. */
  #pass(frame: ToolOutputFrame): void {
    if (this.#waiting.length >= MAX_WAITING) {
      throw new RangeError(`${MAX_WAITING} tool outputs wait for a connection already`)
    }
    if (!this.#send(frame)) this.#waiting = [...this.#waiting, frame]
  }

  /** A copy of what JSON can say of an output. */
  #sayable(output: unknown): unknown {
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
