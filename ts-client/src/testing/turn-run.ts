// Runs one turn from `started` to its end: the script's answer in, events in the log out.
import { setTimeout as wait } from 'node:timers/promises'
import type * as wire from '../generated/protocol.js'
import type { ChatOptions, ToolDefinition } from '../frames.js'
import {
  echo,
  isPlain,
  tokensOf,
  type Answer,
  type AnswerFunction,
  type AnswerScript,
  type CutAnswer,
  type PlainAnswer,
  type ScriptedMessage,
  type ToolRequest
} from './answers.js'
import { ProtocolError } from './protocol-error.js'
import { now, type Conversation, type OwnFields } from './log.js'

/** The reported context length of the harness's model. */
const CONTEXT_TOKENS = 8_192

/** What a turn runs with. */
export interface TurnRunOptions {
  readonly conversation: Conversation
  readonly turn: wire.Turn
  readonly options: ChatOptions
  readonly tools: readonly ToolDefinition[]
  readonly script: AnswerScript
  readonly tokenDelayMs: number
  readonly cut: (conversationId: string, closeCode: number | undefined) => void
}

/** The promise that a held turn awaits. */
const NEVER = new Promise<never>(() => undefined)

/** A call that waits for its output. */
interface OpenCall {
  readonly callId: string
  readonly answer: (output: unknown) => void
}

/** A turn that waits or runs. */
export class TurnRun {
  readonly #options: TurnRunOptions
  /** Resolves when the turn is cancelled. */
  readonly #cancelled: Promise<void>
  readonly #ended: Promise<void>
  #cancel!: () => void
  #end!: () => void
  #hasStarted = false
  #hasEnded = false
  /** Whether the answer has reached `maxNewTokens`: no further token is sent. */
  #isFull = false
  #openCall: OpenCall | undefined
  #calls = 0
  #step = 0
  #tokens = 0

  constructor(options: TurnRunOptions) {
    this.#options = options
    this.#cancelled = new Promise((resolve) => (this.#cancel = resolve))
    this.#ended = new Promise((resolve) => (this.#end = resolve))
  }

  get turnId(): string {
    return this.#options.turn.turnId
  }

  /** Ends it as cancelled in any state; resolves when it has ended. */
  cancel(): Promise<void> {
    this.#cancel()
    if (!this.#hasStarted) this.#finish('cancelled')
    return this.#ended
  }

  /** Delivers the output of a call; returns whether the call was open. */
  answerTool(callId: string, output: unknown): boolean {
    const call = this.#openCall
    if (this.#hasEnded || call?.callId !== callId) return false
    this.#openCall = undefined
    call.answer(output)
    return true
  }

  /** Runs the turn to its end. It never rejects. */
  async run(): Promise<void> {
    this.#hasStarted = true
    if (this.#hasEnded) return
    try {
      const cancelled = this.#cancelled.then(() => 'cancelled' as const)
      this.#finish(await Promise.race([this.#answer(), cancelled]))
    } catch (thrown) {
      this.#close('failed', ProtocolError.of(thrown).event)
    }
  }

  async #answer(): Promise<'stop' | 'length'> {
    const { conversation, turn, tools, script } = this.#options
    const message: ScriptedMessage = {
      conversationId: conversation.id,
      turnId: turn.turnId,
      agentId: turn.agentId,
      message: turn.userText,
      options: this.#options.options,
      tools
    }
    const answer = await resolveAnswer(script.next(message), message)
    turn.state = 'streaming'
    this.#log({ type: 'started', model: turn.options.model, ...this.#prompt() })
    const hasSteps = tools.length > 0 || (!isPlain(answer) && 'tool' in answer)
    if (hasSteps) this.#beginStep()
    await this.#emit(answer, message)
    if (hasSteps) this.#log({ type: 'step-finish', step: this.#step })
    return this.#isFull ? 'length' : 'stop'
  }

  async #emit(scripted: Answer, message: ScriptedMessage): Promise<void> {
    const answer = await resolveAnswer(scripted, message)
    if (this.#isFull) return
    if (isPlain(answer)) return this.#tokensOf(answer)
    if ('tool' in answer) return this.#ask(answer, message)
    if ('closeAfterTokens' in answer) return this.#cut(answer, message)
    if ('reasoning' in answer) {
      for (const token of tokensOf(answer.reasoning)) this.#log({ type: 'reasoning', token })
      return this.#emit(answer.next, message)
    }
    if ('hold' in answer) {
      await this.#tokensOf(answer.hold)
      return this.#isFull ? undefined : NEVER
    }
    await this.#tokensOf(answer.after ?? [])
    const { code, message: text = `scripted: ${code}`, retryable } = answer.error
    throw new ProtocolError(code, text, undefined, retryable)
  }

  async #tokensOf(answer: PlainAnswer): Promise<void> {
    for (const token of tokensOf(answer)) await this.#token(token)
  }

  async #token(token: string): Promise<void> {
    const { turn, tokenDelayMs } = this.#options
    if (tokenDelayMs > 0 && !this.#isFull) await wait(tokenDelayMs)
    this.#isFull ||= this.#tokens >= turn.options.maxNewTokens
    if (this.#isFull || this.#hasEnded) return
    this.#tokens += 1
    turn.answerText += token
    this.#log({ type: 'token', token })
  }

  async #cut({ closeAfterTokens, answer, closeCode }: CutAnswer, message: ScriptedMessage): Promise<void> {
    const { cut, conversation } = this.#options
    const tokens = tokensOf(answer ?? echo(message))
    await this.#tokensOf(tokens.slice(0, closeAfterTokens))
    cut(conversation.id, closeCode)
    await this.#tokensOf(tokens.slice(closeAfterTokens))
  }

  /** Runs one round: the call, its output, and what follows. */
  async #ask(request: ToolRequest, message: ScriptedMessage): Promise<void> {
    const { name, payload = null, callId = `call-${this.#calls + 1}` } = request.tool
    this.#calls += 1
    await this.#tokensOf(request.before ?? [])
    if (this.#isFull) return
    const answered = new Promise((resolve) => (this.#openCall = { callId, answer: resolve }))
    this.#log({ type: 'tool', callId, name, payload })
    const output = await answered
    this.#log({ type: 'tool-output', callId, name, payload: output })
    this.#log({ type: 'step-finish', step: this.#step })
    this.#beginStep()
    const { next = [] } = request
    await this.#emit(typeof next === 'function' ? await next(output) : next, message)
  }

  #beginStep(): void {
    this.#step += 1
    this.#log({ type: 'step-start', step: this.#step })
  }

  #finish(finishReason: wire.FinishReason): void {
    const { sinkTokens } = this.#options.turn.options
    const usage = {
      ...this.#prompt(),
      completionTokens: this.#tokens,
      sinkTokens,
      evictedTokens: 0,
      contextLimit: CONTEXT_TOKENS
    }
    const timings = { queueMs: 0, prefillMs: 0, firstTokenMs: 0, decodeMs: 0, tokensPerSecond: 0 }
    this.#close(finishReason === 'cancelled' ? 'cancelled' : 'done', {
      type: 'done',
      finishReason,
      usage,
      timings
    })
  }

  #close(state: wire.TurnState, event: OwnFields): void {
    if (this.#hasEnded) return
    const { turn } = this.#options
    turn.state = state
    turn.endedAt = now()
    this.#log(event)
    this.#hasEnded = true
    this.#end()
  }

  /** Returns the counts of the prompt, for `started` and `usage`. */
  #prompt(): Pick<wire.Started, 'promptTokens' | 'cachedTokens' | 'windowTokens'> {
    const { turn } = this.#options
    const promptTokens = tokensOf(turn.userText).length
    return { promptTokens, cachedTokens: 0, windowTokens: turn.options.windowTokens }
  }

  /** Logs an event; events after the turn's end are dropped. */
  #log(event: OwnFields): void {
    if (!this.#hasEnded) this.#options.conversation.append(this.turnId, event)
  }
}

/** An answer that is not a function. */
type ResolvedAnswer = Exclude<Answer, AnswerFunction>

/** Calls functions until one returns an answer. */
async function resolveAnswer(answer: Answer, message: ScriptedMessage): Promise<ResolvedAnswer> {
  let next = answer
  while (typeof next === 'function') next = await next(message)
  return next
}
