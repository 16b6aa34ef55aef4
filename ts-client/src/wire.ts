// The wire types of the protocol, as the server declares them.

export type ErrorCode =
  | 'invalid_request'
  | 'unauthorised'
  | 'forbidden'
  | 'agent_not_found'
  | 'conversation_not_found'
  | 'gone'
  | 'duplicate_turn'
  | 'conflict'
  | 'context_too_large'
  | 'too_large'
  | 'busy'
  | 'draining'
  | 'model_unavailable'
  | 'upstream_failed'
  | 'upstream_timeout'
  | 'interrupted'
  | 'slow_reader'
  | 'controller_not_registered'
  | 'relay_failed'
  | 'relay_timeout'
  | 'internal'

export type FinishReason = 'stop' | 'length' | 'cancelled'

export interface Usage {
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly completionTokens: number
  readonly sinkTokens: number
  readonly windowTokens: number
  readonly evictedTokens: number
  readonly contextLimit: number
}

export interface Timings {
  readonly queueMs: number
  readonly prefillMs: number
  readonly firstTokenMs: number
  readonly decodeMs: number
  readonly tokensPerSecond: number
}

export type Limits = Readonly<Record<string, number>>

export interface Options {
  readonly temperature?: number | null
  readonly topP?: number | null
  readonly topK?: number | null
  readonly minP?: number | null
  readonly repeatPenalty?: number | null
  readonly seed?: number | null
  readonly maxNewTokens?: number | null
  readonly stop?: readonly string[] | null
  readonly sinkTokens?: number | null
  readonly windowTokens?: number | null
}

export interface Agent {
  readonly id: string
  readonly name: string
  readonly system_prompt: string
  readonly markdown_context: string
}

export type AgentDraft = Agent
