// One turn from `started` to its end: the script's answer in, events in the log out.
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
import { Fault } from './faults.js'
import { now, type Conversation, type OwnFields } from './log.js'

/** The context that the harness's model claims to have been trained for. */
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

/** What a held turn waits for. */
const NEVER = new Promise<never>(() => undefined)

/** A call that waits for its output. */
interface OpenCall {
  readonly callId: string
  readonly answer: (output: unknown) => void
}

/** A turn that waits or runs. */
export class TurnRun {
  readonly #self: TurnRunOptions
  /** Resolves when the turn is cancelled. */
  readonly #cancelled: Promise<void>
  readonly #over: Promise<void>
  #cancel!: () => void
  #end!: () => void
  #hasBegun = false
  #isOver = false
  /** The answer is as long as it may be: nothing more is said. */
  #isFull = false
  #openCall: OpenCall | undefined
  #calls = 0
  #step = 0
  #tokens = 0

  constructor(self: TurnRunOptions) {
    this.#self = self
    this.#cancelled = new Promise((resolve) => (this.#cancel = resolve))
    this.#over = new Promise((resolve) => (this.#end = resolve))
  }

  get turnId(): string {
    return this.#self.turn.turnId
  }

  /** Ends it as cancelled, whatever it does; resolves when it has ended. */
  cancel(): Promise<void> {
    this.#cancel()
    if (!this.#hasBegun) this.#finish('cancelled')
    return this.#over
  }

  /** Takes the output of a call; says whether it was waited for. */
  answerTool(callId: string, output: unknown): boolean {
    const call = this.#openCall
    if (this.#isOver || call?.callId !== callId) return false
    this.#openCall = undefined
    call.answer(output)
    return true
  }

  /** Runs it to its end. It never rejects. */
  async run(): Promise<void> {
    this.#hasBegun = true
    if (this.#isOver) return
    try {
      const cancelled = this.#cancelled.then(() => 'cancelled' as const)
      this.#finish(await Promise.race([this.#answer(), cancelled]))
    } catch (thrown) {
      this.#close('failed', Fault.of(thrown).event)
    }
  }

  async #answer(): Promise<'stop' | 'length'> {
    const { conversation, turn, tools, script } = this.#self
    const message: ScriptedMessage = {
      conversationId: conversation.id,
      turnId: turn.turnId,
      agentId: turn.agentId,
      message: turn.userText,
      options: this.#self.options,
      tools
    }
    const answer = await decided(script.next(message), message)
    turn.state = 'streaming'
    this.#log({ type: 'started', model: turn.options.model, ...this.#prompt() })
    const hasSteps = tools.length > 0 || (!isPlain(answer) && 'tool' in answer)
    if (hasSteps) this.#beginStep()
    await this.#say(answer, message)
    if (hasSteps) this.#log({ type: 'step-finish', step: this.#step })
    return this.#isFull ? 'length' : 'stop'
  }

  async #say(scripted: Answer, message: ScriptedMessage): Promise<void> {
    const answer = await decided(scripted, message)
    if (this.#isFull) return
    if (isPlain(answer)) return this.#tokensOf(answer)
    if ('tool' in answer) return this.#ask(answer, message)
    if ('closeAfterTokens' in answer) return this.#cut(answer, message)
    if ('reasoning' in answer) {
      for (const token of tokensOf(answer.reasoning)) this.#log({ type: 'reasoning', token })
      return this.#say(answer.next, message)
    }
    if ('hold' in answer) {
      await this.#tokensOf(answer.hold)
      return this.#isFull ? undefined : NEVER
    }
    await this.#tokensOf(answer.after ?? [])
    const { code, message: words = `scripted: ${code}`, retryable } = answer.error
    throw new Fault(code, words, undefined, retryable)
  }

  async #tokensOf(answer: PlainAnswer): Promise<void> {
    for (const token of tokensOf(answer)) await this.#token(token)
  }

  async #token(token: string): Promise<void> {
    const { turn, tokenDelayMs } = this.#self
    if (tokenDelayMs > 0 && !this.#isFull) await wait(tokenDelayMs)
    this.#isFull ||= this.#tokens >= turn.options.maxNewTokens
    if (this.#isFull || this.#isOver) return
    this.#tokens += 1
    turn.answerText += token
    this.#log({ type: 'token', token })
  }

  async #cut({ closeAfterTokens, answer, closeCode }: CutAnswer, message: ScriptedMessage): Promise<void> {
    const { cut, conversation } = this.#self
    const tokens = tokensOf(answer ?? echo(message))
    await this.#tokensOf(tokens.slice(0, closeAfterTokens))
    cut(conversation.id, closeCode)
    await this.#tokensOf(tokens.slice(closeAfterTokens))
  }

  /** One round: the call, its output, and what follows. */
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
    await this.#say(typeof next === 'function' ? await next(output) : next, message)
  }

  #beginStep(): void {
    this.#step += 1
    this.#log({ type: 'step-start', step: this.#step })
  }

  #finish(finishReason: wire.FinishReason): void {
    const { sinkTokens } = this.#self.turn.options
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
    if (this.#isOver) return
    const { turn } = this.#self
    turn.state = state
    turn.endedAt = now()
    this.#log(event)
    this.#isOver = true
    this.#end()
  }

  /** Counts of the prompt, as `started` and `usage` say them. */
  #prompt(): Pick<wire.Started, 'promptTokens' | 'cachedTokens' | 'windowTokens'> {
    const { turn } = this.#self
    const promptTokens = tokensOf(turn.userText).length
    return { promptTokens, cachedTokens: 0, windowTokens: turn.options.windowTokens }
  }

  /** What a script says after the turn's end, nobody hears. */
  #log(event: OwnFields): void {
    if (!this.#isOver) this.#self.conversation.append(this.turnId, event)
  }
}

/** An answer that is no function any more. */
type Decided = Exclude<Answer, AnswerFunction>

/** Follows functions to what they decide. */
async function decided(answer: Answer, message: ScriptedMessage): Promise<Decided> {
  let next = answer
  while (typeof next === 'function') next = await next(message)
  return next
}
