// The frames that this client sends.
import type { Frozen } from './frozen.js'
import type * as wire from './generated/protocol.js'

/** Options of an answer; an absent key leaves the choice to the agent, `null` restores the default. */
export type ChatOptions = Frozen<wire.OptionsPatch>

/** A tool that the model may call in a turn. */
export type ToolDefinition = Frozen<wire.ToolDefinition>

/** A user's message. It carries the spellings of the older protocol too, with equal values. */
export type MessageFrame = { readonly type: 'message' } & Frozen<
  Required<Pick<wire.Message, 'turnId' | 'agentId' | 'conversationId' | 'message'>> &
    Pick<wire.Message, 'parentTurnId' | 'editTurnId' | 'options' | 'tools'>
> & {
    readonly agent_id: string
    readonly conversation_id: string
    readonly user_message: string
  }

/** Asks for another answer to a turn's message. */
export type RegenerateFrame = { readonly type: 'regenerate' } & Frozen<
  Required<Pick<wire.Regenerate, 'turnId' | 'newTurnId' | 'conversationId'>> &
    Pick<wire.Regenerate, 'options' | 'tools'>
>

/** The frames that start a turn. */
export type TurnFrame = MessageFrame | RegenerateFrame

/** Every frame that this client sends. */
export type OutgoingFrame =
  TurnFrame | Exclude<Frozen<wire.ClientMessage>, { readonly type: TurnFrame['type'] }>

/** The output of a tool call, with its conversation. */
export type ToolOutputFrame = Extract<OutgoingFrame, { readonly type: 'tool-output' }>

/** The fields of every frame that starts a turn, with all defaults filled in. */
export interface TurnParts {
  /** The id of the new turn. */
  readonly turnId: string
  readonly conversationId: string
  readonly options: ChatOptions
  readonly tools: readonly ToolDefinition[] | undefined
}

/** Creates the frame of a message. */
export function messageFrame(
  turn: TurnParts & {
    readonly agentId: string
    readonly message: string
    readonly parentTurnId: string | undefined
    readonly editTurnId: string | undefined
  }
): MessageFrame {
  const { turnId, agentId, conversationId, message, parentTurnId, editTurnId } = turn
  return {
    type: 'message',
    turnId,
    agentId,
    agent_id: agentId,
    conversationId,
    conversation_id: conversationId,
    message,
    user_message: message,
    ...(parentTurnId === undefined ? {} : { parentTurnId }),
    ...(editTurnId === undefined ? {} : { editTurnId }),
    ...optionalFields(turn)
  }
}

/** Creates the frame that asks for another answer to the message of the turn `again`. */
export function regenerateFrame(turn: TurnParts, again: string): RegenerateFrame {
  const { turnId, conversationId } = turn
  return { type: 'regenerate', turnId: again, newTurnId: turnId, conversationId, ...optionalFields(turn) }
}

/** Returns options and tools, if there are any. */
function optionalFields({ options, tools }: TurnParts): Pick<TurnFrame, 'options' | 'tools'> {
  return {
    ...(Object.keys(options).length > 0 ? { options } : {}),
    ...(tools === undefined ? {} : { tools })
  }
}

/**
 * Merges options key by key. Later ones win; a key set to `undefined` counts as absent.
 *
 * @throws RangeError on a number that JSON can't represent: it would arrive as `null`, which means something
 * else.
 */
export function mergeOptions(...layers: readonly (ChatOptions | undefined)[]): ChatOptions {
  const merged: Record<string, unknown> = {}
  for (const layer of layers) {
    for (const [key, value] of Object.entries(layer ?? {}) as readonly (readonly [string, unknown])[]) {
      if (value === undefined) continue
      if (typeof value === 'number' && !Number.isFinite(value)) {
        throw new RangeError(`Invalid option ${key}: ${value} is not a finite number`)
      }
      merged[key] = value
    }
  }
  return merged as ChatOptions
}
