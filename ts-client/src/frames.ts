// The frames that this client sends.
import type { Frozen } from './frozen.js'
import type * as wire from './generated/protocol.js'

/** Settings of an answer; an absent key leaves the choice to the agent, `null` goes back to the default. */
export type ChatOptions = Frozen<wire.OptionsPatch>

/** A tool that the model may ask for in a turn. */
export type ToolDefinition = Frozen<wire.ToolDefinition>

/** A user's turn. The spellings of the older protocol are in it too, with equal values. */
export type MessageFrame = { readonly type: 'message' } & Frozen<
  Required<Pick<wire.Message, 'turnId' | 'agentId' | 'conversationId' | 'message'>> &
    Pick<wire.Message, 'parentTurnId' | 'editTurnId' | 'options' | 'tools'>
> & {
    readonly agent_id: string
    readonly conversation_id: string
    readonly user_message: string
  }

/** Asks for a turn's words to be answered once more. */
export type RegenerateFrame = { readonly type: 'regenerate' } & Frozen<
  Required<Pick<wire.Regenerate, 'turnId' | 'newTurnId' | 'conversationId'>> &
    Pick<wire.Regenerate, 'options' | 'tools'>
>

/** What begins a turn. */
export type TurnFrame = MessageFrame | RegenerateFrame

/** Everything that this client says. */
export type Frame = TurnFrame | Exclude<Frozen<wire.ClientMessage>, { readonly type: TurnFrame['type'] }>

/** The answer to a tool call, its conversation named. */
export type ToolOutputFrame = Extract<Frame, { readonly type: 'tool-output' }>

/** What every turn is begun with, all defaults decided. */
export interface TurnParts {
  /** The name of the turn that is new. */
  readonly turnId: string
  readonly conversationId: string
  readonly options: ChatOptions
  readonly tools: readonly ToolDefinition[] | undefined
}

/** Puts a message into words. */
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
    ...said(turn)
  }
}

/** Asks for the words of the turn `again` to be answered once more. */
export function regenerateFrame(turn: TurnParts, again: string): RegenerateFrame {
  const { turnId, conversationId } = turn
  return { type: 'regenerate', turnId: again, newTurnId: turnId, conversationId, ...said(turn) }
}

/** Options and tools, if there are any. */
function said({ options, tools }: TurnParts): Pick<TurnFrame, 'options' | 'tools'> {
  return {
    ...(Object.keys(options).length > 0 ? { options } : {}),
    ...(tools === undefined ? {} : { tools })
  }
}

/**
 * Merges options key by key; later ones win, a key set to `undefined` is as good as absent.
 *
 * @throws RangeError on a number that JSON can't say: it would arrive as `null`, which means something else.
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
