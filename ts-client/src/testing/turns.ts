// Turns: started, queued, joined, cancelled. `turn-run.ts` runs each of them.
import type * as wire from '../generated/protocol.js'
import type { ChatOptions, ToolDefinition } from '../frames.js'
import { newId } from '../ids.js'
import type { AnswerScript } from './answers.js'
import { ProtocolError } from './protocol-error.js'
import { now, type Conversation, type Conversations } from './log.js'
import { effectiveOptions } from './turn-options.js'
import { TurnRun } from './turn-run.js'

/** Turns of one conversation that may wait behind the running one. */
const WAITING_TURNS = 8

/** A checked command to start a turn. */
export interface TurnCommand {
  readonly agentId: string
  readonly conversationId: string | undefined
  readonly turnId: string | undefined
  readonly parentTurnId: string | undefined
  readonly editTurnId: string | undefined
  readonly message: string
  readonly options: ChatOptions
  readonly helloOptions: ChatOptions
  readonly tools: readonly ToolDefinition[] | undefined
}

/** A checked command to answer a turn's message again. */
export type RegenerateCommand = Pick<TurnCommand, 'options' | 'helloOptions' | 'tools'> & {
  readonly conversationId: string
  readonly turnId: string
  readonly newTurnId: string | undefined
}

/** A turn that was started or joined. */
export interface TurnHandle {
  readonly conversation: Conversation
  readonly turnId: string
  /** The `seq` of its `user` event. */
  readonly firstSeq: number
  /** Whether it existed already. */
  readonly isJoined: boolean
}

/** The parts of the harness that turns use. */
export interface TurnSettings {
  readonly conversations: Conversations
  readonly script: AnswerScript
  readonly tokenDelayMs: number
  readonly models: readonly wire.Model[]
  readonly hasAgent: (id: string) => boolean
  /** Closes the sockets that read a conversation; without a code, it breaks them. */
  readonly cut: (conversationId: string, closeCode: number | undefined) => void
}

/** The turns of all conversations. */
export class Turns {
  readonly #settings: TurnSettings
  /** The running turn and the waiting ones of each conversation, in order. */
  readonly #queues = new Map<Conversation, TurnRun[]>()
  /** The request of each turn, to distinguish a repeated message from another one. */
  readonly #bodies = new WeakMap<wire.Turn, string>()

  constructor(settings: TurnSettings) {
    this.#settings = settings
  }

  /** Starts a turn, or joins the one that exists. */
  begin(command: TurnCommand): TurnHandle {
    const { agentId, parentTurnId, editTurnId, message, options, tools } = command
    if (parentTurnId !== undefined && editTurnId !== undefined) {
      throw new ProtocolError('invalid_request', 'keys "parentTurnId" and "editTurnId" exclude each other')
    }
    const sortedOptions = Object.entries(options).toSorted()
    const body = JSON.stringify([agentId, parentTurnId, message, sortedOptions, tools, editTurnId])
    return this.#join(command, body) ?? this.#submit(command, body, this.#parentOf(command))
  }

  /** Starts a sibling of a turn, with the same message and the same agent. */
  regenerate({ turnId, newTurnId, ...command }: RegenerateCommand): TurnHandle {
    const { conversationId, options, tools } = command
    const body = JSON.stringify(['regenerate', turnId, Object.entries(options).toSorted(), tools])
    const joined = this.#join({ conversationId, turnId: newTurnId }, body)
    if (joined !== undefined) return joined
    const turn = this.#settings.conversations.find(conversationId)?.turns.get(turnId)
    if (turn === undefined) throw unknownTurn(conversationId, turnId)
    const { agentId, userText: message, parentTurnId } = turn
    const again = {
      ...command,
      agentId,
      message,
      turnId: newTurnId,
      parentTurnId: undefined,
      editTurnId: turnId
    }
    return this.#submit(again, body, parentTurnId)
  }

  #submit(command: TurnCommand, body: string, parent: string | null): TurnHandle {
    const { conversations, hasAgent, models } = this.#settings
    if (!hasAgent(command.agentId)) throw new ProtocolError('agent_not_found', 'Agent not found')
    const options: ChatOptions = { ...command.helloOptions, ...command.options }
    const effective = effectiveOptions(options, models[0]?.model ?? '')
    if (!models.some((model) => model.allowed && model.model === effective.model)) {
      throw new ProtocolError('invalid_request', `model ${JSON.stringify(effective.model)} is not allowed`)
    }
    const conversation = conversations.open(command.conversationId)
    const queue = this.#queues.get(conversation) ?? []
    if (queue.length > WAITING_TURNS) {
      const waiting = `${WAITING_TURNS} turns waiting, which is its limit`
      throw new ProtocolError('busy', `conversation ${JSON.stringify(conversation.id)} has ${waiting}`)
    }
    const turn = turnRecord(command, parent, effective, options.seed ?? 0)
    this.#bodies.set(turn, body)
    turn.firstSeq = conversation.append(turn.turnId, {
      type: 'user',
      text: turn.userText,
      agentId: turn.agentId,
      agentHash: turn.agentHash,
      options: effective,
      seed: turn.seed,
      parentTurnId: turn.parentTurnId
    })
    conversation.turns.set(turn.turnId, turn)
    conversation.headTurnId = turn.turnId
    this.#queues.set(conversation, queue)
    queue.push(new TurnRun({ ...this.#settings, conversation, turn, options, tools: command.tools ?? [] }))
    // Started only after the client reads along, from the first event.
    if (queue.length === 1) queueMicrotask(() => void this.#runQueue(conversation))
    return { conversation, turnId: turn.turnId, firstSeq: turn.firstSeq, isJoined: false }
  }

  /** Cancels a turn; one that has ended stays as it is. */
  cancel(conversationId: string, turnId: string): void {
    const conversation = this.#settings.conversations.existing(conversationId)
    if (!conversation.turns.has(turnId)) throw unknownTurn(conversationId, turnId)
    void this.#queue(conversation)
      .find((run) => run.turnId === turnId)
      ?.cancel()
  }

  /** Cancels all turns that run or wait in a conversation; resolves when they have ended. */
  async cancelAll(conversation: Conversation): Promise<void> {
    await Promise.all(this.#queue(conversation).map((run) => run.cancel()))
  }

  /** Returns the ids of the turns that run or wait in a conversation. */
  running(conversation: Conversation): readonly string[] {
    return this.#queue(conversation).map((run) => run.turnId)
  }

  /** Delivers the output of a tool call. */
  answerTool(conversationId: string, turnId: string, callId: string, output: unknown): void {
    const conversation = this.#settings.conversations.existing(conversationId)
    const run = this.#queue(conversation).find((other) => other.turnId === turnId)
    if (run?.answerTool(callId, output) === true) return
    const names = `turn ${JSON.stringify(turnId)} has no call ${JSON.stringify(callId)}`
    throw new ProtocolError('invalid_request', `${names} that waits for an output`)
  }

  #queue(conversation: Conversation): readonly TurnRun[] {
    return [...(this.#queues.get(conversation) ?? [])]
  }

  async #runQueue(conversation: Conversation): Promise<void> {
    const queue = this.#queues.get(conversation) ?? []
    for (let run = queue[0]; run !== undefined; run = queue[0]) {
      await run.run()
      queue.shift()
    }
    this.#queues.delete(conversation)
  }

  #join({ conversationId, turnId }: Partial<TurnCommand>, body: string): TurnHandle | undefined {
    if (conversationId === undefined || turnId === undefined) return undefined
    const conversation = this.#settings.conversations.find(conversationId)
    const turn = conversation?.turns.get(turnId)
    if (conversation === undefined || turn === undefined) return undefined
    if (this.#bodies.get(turn) !== body) {
      const names = `turn ${JSON.stringify(turnId)} of conversation ${JSON.stringify(conversationId)}`
      throw new ProtocolError('duplicate_turn', `${names} exists with another message`)
    }
    return { conversation, turnId, firstSeq: turn.firstSeq, isJoined: true }
  }

  /**
   * Returns the turn that a message follows: the one that it names, the parent of the one that it edits, or
   * the newest.
   */
  #parentOf({ conversationId = '', parentTurnId, editTurnId }: TurnCommand): string | null {
    const conversation = this.#settings.conversations.find(conversationId)
    const named = parentTurnId ?? editTurnId
    if (named === undefined) return conversation?.headTurnId ?? null
    const turn = conversation?.turns.get(named)
    if (turn !== undefined) return editTurnId === undefined ? turn.turnId : turn.parentTurnId
    const key = editTurnId === undefined ? 'parentTurnId' : 'editTurnId'
    const rule = `a turn of conversation ${JSON.stringify(conversationId)}`
    throw new ProtocolError('invalid_request', `key "${key}" must be ${rule}, not ${JSON.stringify(named)}`)
  }
}

/** Returns the error for a turn that doesn't exist. */
export function unknownTurn(conversationId: string, turnId: string): ProtocolError {
  const names = `turn ${JSON.stringify(turnId)} of conversation ${JSON.stringify(conversationId)}`
  return new ProtocolError('conversation_not_found', `${names} not found`)
}

function turnRecord(
  command: TurnCommand,
  parentTurnId: string | null,
  options: wire.EffectiveOptions,
  seed: number
): wire.Turn {
  return {
    turnId: command.turnId ?? newId(),
    parentTurnId,
    state: 'pending',
    agentId: command.agentId,
    agentHash: '0'.repeat(64),
    userText: command.message,
    answerText: '',
    options,
    seed,
    firstSeq: 0,
    createdAt: now(),
    endedAt: null
  }
}
