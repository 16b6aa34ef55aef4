// One message on its way: what was sent, what has come back, and the promise of its end.
import { ChatError } from './errors.js'
import type { ChatEvent, FinishReason, Timings, Usage } from './events.js'
import type { ChatOptions, ToolDefinition, TurnFrame } from './frames.js'
import type { ToolHandler } from './tool-calls.js'

/** What can be said of every turn. */
export interface TurnRequest {
  /** Settings of this answer, merged over those of the stream key by key. */
  readonly options?: ChatOptions
  /** Another conversation; without it, the one that the stream is at. */
  readonly conversationId?: string
  /** Tools that the model may ask for in this turn, in place of the agent's. */
  readonly tools?: readonly ToolDefinition[]
  /** Answers this turn's tool calls, in place of the stream's `onTool`. */
  readonly onTool?: ToolHandler
  /** Cancels this turn; its promise then resolves as `cancelled`. */
  readonly signal?: AbortSignal
}

/** One message of the user. */
export interface OutgoingMessage extends TurnRequest {
  readonly message: string
  /** Another agent, for this message only. */
  readonly agentId?: string
  /** The turn that this one follows, which makes a branch; the conversation's newest without it. */
  readonly parentTurnId?: string
  /** The turn whose words these replace: the new turn stands beside it. Excludes `parentTurnId`. */
  readonly editTurnId?: string
}

/** Asks for another answer to the words of a turn that has run, runs or waits. */
export interface Regeneration extends TurnRequest {
  /** The turn whose words are answered once more; the new one stands beside it. */
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
  /** Whether its frame has left this client at least once. */
  sent = false
  /** Whether its message waits until what may have arrived before it is known. */
  isHeld = false
  /** Whether the server has spoken of it; from then on it is resumed, never sent again. */
  acknowledged = false
  /** Whether a cancel has to follow its frame on the next socket. */
  cancelRequested = false
  /** The place of its newest event in the log. */
  lastSeq = 0

  /** Answers its tool calls, if anything here does. */
  readonly onTool: ToolHandler | undefined

  readonly #pieces: string[] = []
  #resolve!: (result: TurnResult) => void
  #reject!: (error: ChatError) => void
  #cleanUp: (() => void) | undefined

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

  /** Calls `onAbort` when `signal` fires before the turn has ended. */
  watch(signal: AbortSignal, onAbort: () => void): void {
    signal.addEventListener('abort', onAbort, { once: true })
    this.#cleanUp = () => signal.removeEventListener('abort', onAbort)
  }

  /** Takes in one of its events and says whether it was the last. */
  take(event: ChatEvent): boolean {
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

  /** Ends it well, with the text that has come so far. */
  finish(finishReason: FinishReason, usage?: Usage, timings?: Timings): void {
    this.#cleanUp?.()
    const { conversationId, turnId } = this
    this.#resolve({ conversationId, turnId, text: this.#pieces.join(''), finishReason, usage, timings })
  }

  /** Ends it badly. */
  fail(error: ChatError): void {
    this.#cleanUp?.()
    this.#reject(error)
  }
}
