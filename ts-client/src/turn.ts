// One turn in flight: the frame that was sent, what has arrived, and the promise of its result.
import { ChatError } from './errors.js'
import type { ChatEvent, FinishReason, Timings, Usage } from './events.js'
import type { ChatOptions, ToolDefinition, TurnFrame } from './frames.js'
import type { ToolHandler } from './tool-calls.js'

/** Options of every turn. */
export interface TurnRequest {
  /** Options of this answer, merged over those of the stream key by key. */
  readonly options?: ChatOptions
  /** Another conversation; without it, the stream's current one. */
  readonly conversationId?: string
  /** Tools that the model may call in this turn, in place of the agent's. */
  readonly tools?: readonly ToolDefinition[]
  /** Answers this turn's tool calls, in place of the stream's `onTool`. */
  readonly onTool?: ToolHandler
  /** Cancels this turn; its promise then resolves as `cancelled`. */
  readonly signal?: AbortSignal
}

/** A message of the user. */
export interface OutgoingMessage extends TurnRequest {
  readonly message: string
  /** Another agent, for this message only. */
  readonly agentId?: string
  /** The turn that this one follows, which creates a branch; the conversation's newest without it. */
  readonly parentTurnId?: string
  /** The turn whose message this one replaces: the new turn becomes its sibling. Excludes `parentTurnId`. */
  readonly editTurnId?: string
}

/** Asks for another answer to the message of a turn that has run, runs or waits. */
export interface Regeneration extends TurnRequest {
  /** The turn whose message is answered again; the new turn becomes its sibling. */
  readonly turnId: string
}

/** How a turn ended. */
export interface TurnResult {
  readonly conversationId: string
  readonly turnId: string
  /** The whole answer: its tokens, joined. Partial when `finishReason` is `cancelled`. */
  readonly text: string
  readonly finishReason: FinishReason
  /** Absent when the server sent none, and after `stop()`. */
  readonly usage: Usage | undefined
  /** Absent when the server sent none, and after `stop()`. */
  readonly timings: Timings | undefined
}

/** A turn that has not ended. */
export class Turn {
  readonly turnId: string
  readonly frame: TurnFrame
  /** The promise that `sendMessage` and `regenerate` return. It never counts as an unhandled rejection. */
  readonly result: Promise<TurnResult>
  /** Set by an older server that names conversations itself. */
  conversationId: string
  /** Whether its frame was sent at least once. */
  sent = false
  /** Whether its message waits until it is known which messages before it have arrived. */
  isHeld = false
  /** Whether the server has sent an event of it; from then on it is resumed, never sent again. */
  acknowledged = false
  /** Whether a cancel has to follow its frame on the next socket. */
  cancelRequested = false
  /** The `seq` of its newest event. */
  lastSeq = 0

  /** Answers its tool calls, if there is a handler. */
  readonly onTool: ToolHandler | undefined

  readonly #pieces: string[] = []
  #resolve!: (result: TurnResult) => void
  #reject!: (error: ChatError) => void
  #removeAbortListener: (() => void) | undefined

  constructor(frame: TurnFrame, onTool?: ToolHandler) {
    this.frame = frame
    this.onTool = onTool
    this.turnId = frame.type === 'regenerate' ? frame.newTurnId : frame.turnId
    this.conversationId = frame.conversationId
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.result.catch(() => undefined)
  }

  /** Calls `onAbort` if `signal` fires before the turn has ended. */
  abortOn(signal: AbortSignal, onAbort: () => void): void {
    signal.addEventListener('abort', onAbort, { once: true })
    this.#removeAbortListener = () => signal.removeEventListener('abort', onAbort)
  }

  /** Applies one of its events; returns whether it was the last. */
  apply(event: ChatEvent): boolean {
    this.acknowledged = true
    this.isHeld = false
    this.lastSeq = event.seq ?? this.lastSeq
    if (event.conversationId !== undefined) this.conversationId = event.conversationId
    switch (event.type) {
      case 'token':
        this.#pieces.push(event.token)
        return false
      case 'done':
        this.finish(event.finishReason, event.usage, event.timings)
        return true
      case 'error':
        this.fail(new ChatError(event.code, event.message, event.retryable))
        return true
      default:
        return false
    }
  }

  /** Resolves its promise, with the text that has come so far. */
  finish(finishReason: FinishReason, usage?: Usage, timings?: Timings): void {
    this.#removeAbortListener?.()
    const { conversationId, turnId } = this
    this.#resolve({ conversationId, turnId, text: this.#pieces.join(''), finishReason, usage, timings })
  }

  /** Rejects its promise. */
  fail(error: ChatError): void {
    this.#removeAbortListener?.()
    this.#reject(error)
  }
}
