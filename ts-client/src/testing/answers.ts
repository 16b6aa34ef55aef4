// The script of answers: what a test writes down, and what becomes of it message by message.
import type { ErrorCode } from '../events.js'
import type { ChatOptions, ToolDefinition } from '../frames.js'

/** What the harness answers to one message. */
export type Answer =
  PlainAnswer | AnswerFunction | ErrorAnswer | ToolRequest | ReasonedAnswer | HeldAnswer | CutAnswer

/** A text, which is split into one token a word, or the tokens themselves. */
export type PlainAnswer = string | readonly string[]

/** Decides by the message. What it throws ends the turn in the error `internal`. */
export type AnswerFunction = (message: ScriptedMessage) => Answer | Promise<Answer>

/** Ends the turn in an error, after some tokens if there are any. */
export interface ErrorAnswer {
  readonly error: { readonly code: ErrorCode; readonly message?: string; readonly retryable?: boolean }
  readonly after?: PlainAnswer
}

/**
 * Asks for a tool, waits for its `tool-output`, and goes on.
 *
 * It is `next` and not `then`, for a promise would take an object with a function of that name for another promise.
 */
export interface ToolRequest {
  readonly tool: {
    readonly name: string
    readonly payload?: unknown
    /** `call-1`, `call-2` … within the turn when absent. */
    readonly callId?: string
  }
  /** What the model says before it asks. */
  readonly before?: PlainAnswer
  /** What follows, by the output if it is a function; nothing when absent. */
  readonly next?: Exclude<Answer, AnswerFunction> | ((output: unknown) => Answer | Promise<Answer>)
}

/** Thinks first. */
export interface ReasonedAnswer {
  readonly reasoning: PlainAnswer
  readonly next: Exclude<Answer, AnswerFunction>
}

/** Says these tokens and then no more: the turn runs until it is cancelled. */
export interface HeldAnswer {
  readonly hold: PlainAnswer
}

/**
 * Cuts every socket that reads the conversation after so many tokens of this answer. The turn runs on, and `resume` finds
 * the rest of it.
 */
export interface CutAnswer {
  readonly closeAfterTokens: number
  /** `echo: ` and the message when absent. */
  readonly answer?: PlainAnswer
  /** Closes with this code; without it, the connection breaks (1006). */
  readonly closeCode?: number
}

/** A message as a scripted function sees it. */
export interface ScriptedMessage {
  readonly conversationId: string
  readonly turnId: string
  readonly agentId: string
  readonly message: string
  /** The message's own options over those of the hello, as they were sent. */
  readonly options: ChatOptions
  readonly tools: readonly ToolDefinition[]
}

/** Hands out the answers in order; after the last one, and without any, it echoes. */
export class AnswerScript {
  readonly #answers: readonly Answer[] | AnswerFunction
  #next = 0

  constructor(answers: readonly Answer[] | AnswerFunction = []) {
    this.#answers = answers
  }

  /** The answer to the next message. */
  next(message: ScriptedMessage): Answer {
    if (typeof this.#answers === 'function') return this.#answers
    const answer = this.#answers[this.#next]
    this.#next += 1
    return answer ?? echo(message)
  }
}

/** What is answered where nothing is scripted. */
export function echo({ message }: { readonly message: string }): string {
  return `echo: ${message}`
}

/** The tokens of a plain answer: words with the white space before them. None is empty. */
export function tokensOf(answer: PlainAnswer): readonly string[] {
  const tokens = typeof answer === 'string' ? (answer.match(/\s*\S+|\s+$/gu) ?? []) : answer
  return tokens.filter((token) => token !== '')
}

/** Whether an answer is plain. */
export function isPlain(answer: Answer): answer is PlainAnswer {
  return typeof answer === 'string' || Array.isArray(answer)
}
