// The script of answers of a harness, and which answer each message gets.
import type { ErrorCode } from '../events.js'
import type { ChatOptions, ToolDefinition } from '../frames.js'

/** What the harness answers to one message. */
export type Answer =
  PlainAnswer | AnswerFunction | ErrorAnswer | ToolRequest | ReasonedAnswer | HeldAnswer | CutAnswer

/** A text, which is split into one token a word, or the tokens themselves. */
export type PlainAnswer = string | readonly string[]

/** Chooses an answer by the message. If it throws, the turn ends in the error `internal`. */
export type AnswerFunction = (message: ScriptedMessage) => Answer | Promise<Answer>

/** Ends the turn in an error, after some tokens if there are any. */
export interface ErrorAnswer {
  readonly error: { readonly code: ErrorCode; readonly message?: string; readonly retryable?: boolean }
  readonly after?: PlainAnswer
}

/**
 * Calls a tool, waits for its `tool-output`, and continues.
 *
 * The key is `next` and not `then`: a promise would treat an object with a function of that name as another
 * promise.
 */
export interface ToolRequest {
  readonly tool: {
    readonly name: string
    readonly payload?: unknown
    /** `call-1`, `call-2` … within the turn if absent. */
    readonly callId?: string
  }
  /** Text of the model before the call. */
  readonly before?: PlainAnswer
  /** The answer that follows, or a function of the output; nothing if absent. */
  readonly next?: Exclude<Answer, AnswerFunction> | ((output: unknown) => Answer | Promise<Answer>)
}

/** Sends reasoning before the answer. */
export interface ReasonedAnswer {
  readonly reasoning: PlainAnswer
  readonly next: Exclude<Answer, AnswerFunction>
}

/** Sends these tokens and then no more: the turn runs until it is cancelled. */
export interface HeldAnswer {
  readonly hold: PlainAnswer
}

/**
 * Cuts every socket that reads the conversation after this many tokens of the answer. The turn runs on, and
 * `resume` finds the rest of it.
 */
export interface CutAnswer {
  readonly closeAfterTokens: number
  /** `echo: ` and the message if absent. */
  readonly answer?: PlainAnswer
  /** Closes with this code; without it, the connection breaks (1006). */
  readonly closeCode?: number
}

/** A message as a scripted function receives it. */
export interface ScriptedMessage {
  readonly conversationId: string
  readonly turnId: string
  readonly agentId: string
  readonly message: string
  /** The message's own options over those of the hello, as they were sent. */
  readonly options: ChatOptions
  readonly tools: readonly ToolDefinition[]
}

/** Returns the answers in order; after the last one, and without any, an echo. */
export class AnswerScript {
  readonly #answers: readonly Answer[] | AnswerFunction
  #next = 0

  constructor(answers: readonly Answer[] | AnswerFunction = []) {
    this.#answers = answers
  }

  /** Returns the answer to the next message. */
  next(message: ScriptedMessage): Answer {
    if (typeof this.#answers === 'function') return this.#answers
    const answer = this.#answers[this.#next]
    this.#next += 1
    return answer ?? echo(message)
  }
}

/** Returns the answer to a message that isn't scripted. */
export function echo({ message }: { readonly message: string }): string {
  return `echo: ${message}`
}

/** Splits a plain answer into tokens: words with the white space before them. None is empty. */
export function tokensOf(answer: PlainAnswer): readonly string[] {
  const tokens = typeof answer === 'string' ? (answer.match(/\s*\S+|\s+$/gu) ?? []) : answer
  return tokens.filter((token) => token !== '')
}

/** Returns whether an answer is plain. */
export function isPlain(answer: Answer): answer is PlainAnswer {
  return typeof answer === 'string' || Array.isArray(answer)
}
