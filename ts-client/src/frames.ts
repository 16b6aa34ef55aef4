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
    Pick<wire.Message, 'options' | 'tools'>
> & {
    readonly agent_id: string
    readonly conversation_id: string
    readonly user_message: string
  }

/** Everything that this client says. */
export type Frame = MessageFrame | Exclude<Frozen<wire.ClientMessage>, { readonly type: 'message' }>

/** The answer to a tool call, its conversation named. */
export type ToolOutputFrame = Extract<Frame, { readonly type: 'tool-output' }>

/** Puts a message into words. */
export function messageFrame(turn: {
  readonly turnId: string
  readonly agentId: string
  readonly conversationId: string
  readonly message: string
  readonly options: ChatOptions
  readonly tools: readonly ToolDefinition[] | undefined
}): MessageFrame {
  const { turnId, agentId, conversationId, message, options, tools } = turn
  return {
    type: 'message',
    turnId,
    agentId,
    agent_id: agentId,
    conversationId,
    conversation_id: conversationId,
    message,
    user_message: message,
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
