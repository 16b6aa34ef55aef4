// Turns: begun, queued, joined, cancelled. What one says is `turn-run.ts`.
import type * as wire from '../generated/protocol.js'
import type { ChatOptions, ToolDefinition } from '../frames.js'
import { newId } from '../ids.js'
import type { AnswerScript } from './answers.js'
import { Fault } from './faults.js'
import { now, type Conversation, type Conversations } from './log.js'
import { effectiveOptions } from './turn-options.js'
import { TurnRun } from './turn-run.js'

/** Turns of one conversation that may wait behind the running one. */
const WAITING_TURNS = 8

/** A checked command to begin a turn. */
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

/** A checked command to answer a turn's words once more. */
export type RegenerateCommand = Pick<TurnCommand, 'options' | 'helloOptions' | 'tools'> & {
  readonly conversationId: string
  readonly turnId: string
  readonly newTurnId: string | undefined
}

/** A turn that has begun. */
export interface TurnHandle {
  readonly conversation: Conversation
  readonly turnId: string
  /** The `seq` of its `user` event. */
  readonly firstSeq: number
  /** It was there already. */
  readonly isJoined: boolean
}

/** What turns need. */
export interface TurnSettings {
  readonly conversations: Conversations
  readonly script: AnswerScript
  readonly tokenDelayMs: number
  readonly models: readonly wire.Model[]
  readonly hasAgent: (id: string) => boolean
  /** Ends the sockets that read a conversation; without a code, it breaks them. */
  readonly cut: (conversationId: string, closeCode: number | undefined) => void
}

/** The turns of all conversations. */
export class Turns {
  readonly #settings: TurnSettings
  /** What runs and waits in each conversation, the running one first. */
  readonly #lanes = new Map<Conversation, TurnRun[]>()
  /** What each turn was begun with, by which a repeated message is told from another. */
  readonly #bodies = new WeakMap<wire.Turn, string>()

  constructor(settings: TurnSettings) {
    this.#settings = settings
  }

  /** Begins a turn, or joins the one that is there. */
  begin(command: TurnCommand): TurnHandle {
    const { agentId, parentTurnId, editTurnId, message, options, tools } = command
    if (parentTurnId !== undefined && editTurnId !== undefined) {
      throw new Fault('invalid_request', 'keys "parentTurnId" and "editTurnId" exclude each other')
    }
    const said = Object.entries(options).toSorted()
    const body = JSON.stringify([agentId, parentTurnId, message, said, tools, editTurnId])
    return this.#join(command, body) ?? this.#submit(command, body, this.#parentOf(command))
  }

  /** Begins a turn beside another, with the same words and the same agent. */
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
    if (!hasAgent(command.agentId)) throw new Fault('agent_not_found', 'Agent not found')
    const options: ChatOptions = { ...command.helloOptions, ...command.options }
    const effective = effectiveOptions(options, models[0]?.model ?? '')
    if (!models.some((model) => model.allowed && model.model === effective.model)) {
      throw new Fault('invalid_request', `model ${JSON.stringify(effective.model)} is not allowed`)
    }
    const conversation = conversations.open(command.conversationId)
    const lane = this.#lanes.get(conversation) ?? []
    if (lane.length > WAITING_TURNS) {
      const waiting = `${WAITING_TURNS} turns waiting, which is its limit`
      throw new Fault('busy', `conversation ${JSON.stringify(conversation.id)} has ${waiting}`)
    }
    const turn = record(command, parent, effective, options.seed ?? 0)
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
    this.#lanes.set(conversation, lane)
    lane.push(new TurnRun({ ...this.#settings, conversation, turn, options, tools: command.tools ?? [] }))
    // Whoever asked is to read along from the first word.
    if (lane.length === 1) queueMicrotask(() => void this.#work(conversation))
    return { conversation, turnId: turn.turnId, firstSeq: turn.firstSeq, isJoined: false }
  }

  /** Cancels a turn; one that is over stays as it is. */
  cancel(conversationId: string, turnId: string): void {
    const conversation = this.#settings.conversations.existing(conversationId)
    if (!conversation.turns.has(turnId)) throw unknownTurn(conversationId, turnId)
    void this.#lane(conversation)
      .find((run) => run.turnId === turnId)
      ?.cancel()
  }

  /** Cancels whatever runs or waits in a conversation; resolves when it has ended. */
  async cancelAll(conversation: Conversation): Promise<void> {
    await Promise.all(this.#lane(conversation).map((run) => run.cancel()))
  }

  /** The turns that run and wait in a conversation. */
  running(conversation: Conversation): readonly string[] {
    return this.#lane(conversation).map((run) => run.turnId)
  }

  /** Answers the call of a tool. */
  answerTool(conversationId: string, turnId: string, callId: string, output: unknown): void {
    const conversation = this.#settings.conversations.existing(conversationId)
    const run = this.#lane(conversation).find((other) => other.turnId === turnId)
    if (run?.answerTool(callId, output) === true) return
    const names = `turn ${JSON.stringify(turnId)} has no call ${JSON.stringify(callId)}`
    throw new Fault('invalid_request', `${names} that waits for an output`)
  }

  #lane(conversation: Conversation): readonly TurnRun[] {
    return [...(this.#lanes.get(conversation) ?? [])]
  }

  async #work(conversation: Conversation): Promise<void> {
    const lane = this.#lanes.get(conversation) ?? []
    for (let run = lane[0]; run !== undefined; run = lane[0]) {
      await run.run()
      lane.shift()
    }
    this.#lanes.delete(conversation)
  }

  #join({ conversationId, turnId }: Partial<TurnCommand>, body: string): TurnHandle | undefined {
    if (conversationId === undefined || turnId === undefined) return undefined
    const conversation = this.#settings.conversations.find(conversationId)
    const turn = conversation?.turns.get(turnId)
    if (conversation === undefined || turn === undefined) return undefined
    if (this.#bodies.get(turn) !== body) {
      const names = `turn ${JSON.stringify(turnId)} of conversation ${JSON.stringify(conversationId)}`
      throw new Fault('duplicate_turn', `${names} exists with another message`)
    }
    return { conversation, turnId, firstSeq: turn.firstSeq, isJoined: true }
  }

  /** The turn that a message follows: the one that it names, the parent of the one that it edits, or the newest. */
  #parentOf({ conversationId = '', parentTurnId, editTurnId }: TurnCommand): string | null {
    const conversation = this.#settings.conversations.find(conversationId)
    const named = parentTurnId ?? editTurnId
    if (named === undefined) return conversation?.headTurnId ?? null
    const turn = conversation?.turns.get(named)
    if (turn !== undefined) return editTurnId === undefined ? turn.turnId : turn.parentTurnId
    const key = editTurnId === undefined ? 'parentTurnId' : 'editTurnId'
    const rule = `a turn of conversation ${JSON.stringify(conversationId)}`
    throw new Fault('invalid_request', `key "${key}" must be ${rule}, not ${JSON.stringify(named)}`)
  }
}

/** The refusal of a turn that isn't there. */
export function unknownTurn(conversationId: string, turnId: string): Fault {
  const names = `turn ${JSON.stringify(turnId)} of conversation ${JSON.stringify(conversationId)}`
  return new Fault('conversation_not_found', `${names} not found`)
}

function record(
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
