// Generated from the Rust types in crates/protocol: change those, then run
// UPDATE_GENERATED=1 cargo nextest run -p streaming-llm-protocol typescript

/**
 * One text frame from a client.
 */
export type ClientMessage = { "type": "hello" } & Hello | { "type": "message" } & Message | { "type": "regenerate" } & Regenerate | { "type": "cancel" } & Cancel | { "type": "resume" } & Resume | { "type": "leave" } & Leave | { "type": "tool-output" } & ToolAnswer | { "type": "ping" } & Ping;

/**
 * The first frame of a socket, without a message.
 */
export type Hello = { 
/**
 * The agent that answers messages which name none.
 */
agentId?: string, 
/**
 * The conversation of messages which name none.
 */
conversationId?: string, 
/**
 * Options under those of every message.
 */
options?: OptionsPatch, 
/**
 * The key, where one is set.
 */
apiKey?: string, };

/**
 * A user's turn. As the first frame of a socket it is its hello too.
 */
export type Message = { 
/**
 * What the user says.
 */
message: string, 
/**
 * The agent that answers.
 */
agentId?: string, 
/**
 * The conversation; a new one when neither this nor the hello names one.
 */
conversationId?: string, 
/**
 * Options of this turn.
 */
options?: OptionsPatch, 
/**
 * The client's own name for the turn: sent again, it joins the turn instead of starting another.
 */
turnId?: string, 
/**
 * The turn that this one follows; the conversation's newest by default.
 */
parentTurnId?: string, 
/**
 * The turn that this one stands beside, with another text; in place of `parentTurnId`.
 */
editTurnId?: string, 
/**
 * Tools that the model may ask for in this turn, in place of the agent's.
 */
tools?: Array<ToolDefinition>, 
/**
 * The key, where one is set and this is the first frame.
 */
apiKey?: string, };

/**
 * Answers a user's words once more: a sibling of a turn, with the same text.
 */
export type Regenerate = { 
/**
 * The turn whose words are answered once more.
 */
turnId: string, 
/**
 * The turn's conversation; the socket's current one by default.
 */
conversationId?: string, 
/**
 * The client's own name for the new turn: sent again, it joins that turn.
 */
newTurnId?: string, 
/**
 * Options of the new turn, as those of a message.
 */
options?: OptionsPatch, 
/**
 * Tools of the new turn, as those of a message.
 */
tools?: Array<ToolDefinition>, 
/**
 * The key, where one is set and this is the first frame.
 */
apiKey?: string, };

/**
 * Stops answers.
 */
export type Cancel = { 
/**
 * The turn; all that the socket owns when none is named.
 */
turnId?: string, 
/**
 * The turn's conversation; the socket's current one by default.
 */
conversationId?: string, };

/**
 * Reads a log.
 */
export type Resume = { 
/**
 * Whose log.
 */
conversationId: string, 
/**
 * The last `seq` that was seen; from now on when absent.
 */
after?: number, 
/**
 * Whether to own the turns that run in it.
 */
own?: boolean, 
/**
 * The key, where one is set and this is the first frame.
 */
apiKey?: string, };

/**
 * Stops reading a log.
 */
export type Leave = { 
/**
 * Whose log.
 */
conversationId: string, };

/**
 * Answers a `tool` event.
 */
export type ToolAnswer = { 
/**
 * The turn that asks.
 */
turnId: string, 
/**
 * The call that this answers.
 */
callId: string, 
/**
 * What the tool gave; anything, `null` too.
 */
output: unknown, 
/**
 * The turn's conversation; the socket's current one by default.
 */
conversationId?: string, };

/**
 * A tool that a model may ask for.
 */
export type ToolDefinition = { 
/**
 * `[A-Za-z0-9_-]{1,64}`, unique among a turn's tools.
 */
name: string, 
/**
 * What it does, in words for the model.
 */
description?: string, 
/**
 * JSON Schema of its arguments, an object; none by default.
 */
parameters?: Record<string, unknown>, };

/**
 * Asks for a `pong`.
 */
export type Ping = { 
/**
 * Comes back in the `pong`.
 */
id?: string, };

/**
 * Options of one layer: an agent's, a socket's or a message's. Every value in it is in range.
 */
export type OptionsPatch = { 
/**
 * Softmax temperature, 0 to 10; 0 is greedy.
 */
temperature?: number | null, 
/**
 * Keeps the smallest set of tokens whose probability reaches this, above 0 and at most 1.
 */
topP?: number | null, 
/**
 * Keeps this many most probable tokens; 0 is off.
 */
topK?: number | null, 
/**
 * Drops tokens less probable than this share of the most probable one, 0 and up, below 1.
 */
minP?: number | null, 
/**
 * Divides the logits of tokens seen lately, 0.1 to 10; 1 is off.
 */
repeatPenalty?: number | null, 
/**
 * Seed of the turn, below 2^53; a random one by default.
 */
seed?: number | null, 
/**
 * The answer ends after this many tokens, 1 to 8,192.
 */
maxNewTokens?: number | null, 
/**
 * The answer ends before any of these; at most 16 of at most 256 bytes, none empty.
 */
stop?: Array<string> | null, 
/**
 * Attention sinks at the least, at most 131,072.
 */
sinkTokens?: number | null, 
/**
 * Tokens of the rolling window, 1 to 131,072.
 */
windowTokens?: number | null, 
/**
 * The model that answers, one of those that the server allows.
 */
model?: string | null, };

/**
 * One event. What the log holds of it is its own fields; `seq` and the like are the frame's [`Envelope`].
 */
export type ServerEvent = { "type": "ready" } & Ready | { "type": "queued" } & Queued | { "type": "user" } & User | { "type": "started" } & Started | { "type": "token" } & Token | { "type": "reasoning" } & Reasoning | { "type": "tool" } & Tool | { "type": "tool-output" } & ToolOutput | { "type": "step-start" } & Step | { "type": "step" } & Step | { "type": "step-finish" } & Step | { "type": "summary" } & Summary | { "type": "narration" } & Narration | { "type": "evicted" } & Evicted | { "type": "done" } & Done | { "type": "error" } & ErrorEvent | { "type": "pong" } & Pong | { "type": "reset" } & Reset;

/**
 * What a frame carries beside its event's own fields. Logged events have all four.
 */
export type Envelope = { 
/**
 * The event's number in its conversation's log: 1, 2, 3 and so on.
 */
seq?: number, 
/**
 * The conversation.
 */
conversationId?: string, 
/**
 * The turn.
 */
turnId?: string, 
/**
 * When it was logged: RFC 3339, UTC, milliseconds.
 */
at?: string, };

/**
 * Own fields of `ready`.
 */
export type Ready = { 
/**
 * [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION).
 */
protocol: number, 
/**
 * The agent that the socket is bound to, if it is.
 */
agentId: string | null, 
/**
 * The model's name.
 */
model: string, 
/**
 * Limits in force.
 */
limits: Limits, 
/**
 * The last `seq` of the socket's conversation; 0 without one.
 */
lastSeq: number, 
/**
 * Changes when the server starts anew.
 */
bootId: string, };

/**
 * Own fields of `queued`.
 */
export type Queued = { 
/**
 * Turns of the conversation that run or wait before it.
 */
ahead: number, };

/**
 * The limits in force.
 */
export type Limits = { 
/**
 * Bytes of one WebSocket message.
 */
frameBytes: number, 
/**
 * Bytes of one user message, as UTF-8.
 */
messageBytes: number, 
/**
 * Bytes of one HTTP body.
 */
bodyBytes: number, 
/**
 * Conversations that one socket may read at a time.
 */
conversationsPerSocket: number, 
/**
 * Turns of one conversation that may wait behind the running one.
 */
waitingTurns: number, 
/**
 * Frames that may wait to be written to one socket.
 */
outboundFrames: number, 
/**
 * Bytes that may wait to be written to one socket.
 */
outboundBytes: number, 
/**
 * Milliseconds that a socket may stay silent before its first frame.
 */
helloTimeoutMs: number, 
/**
 * Milliseconds that one write to a socket may take.
 */
writeStallMs: number, 
/**
 * Stop strings of one turn.
 */
stopStrings: number, 
/**
 * Bytes of one stop string, as UTF-8.
 */
stopStringBytes: number, 
/**
 * The most that `maxNewTokens` may ask for.
 */
maxNewTokens: number, };

/**
 * Own fields of `user`.
 */
export type User = { 
/**
 * What the user said.
 */
text: string, 
/**
 * The agent that answers.
 */
agentId: string, 
/**
 * Hash of the agent as it was: sha256, hexadecimal.
 */
agentHash: string, 
/**
 * The options in force.
 */
options: EffectiveOptions, 
/**
 * The turn's seed, below 2^53.
 */
seed: number, 
/**
 * The turn that it follows; `null` for a conversation's first.
 */
parentTurnId: string | null, };

/**
 * The options that a turn runs with; its seed is beside them in the `user` event.
 */
export type EffectiveOptions = { 
/**
 * As in [`OptionsPatch`].
 */
temperature: number, 
/**
 * As in [`OptionsPatch`]; 1 is off.
 */
topP: number, 
/**
 * As in [`OptionsPatch`].
 */
topK: number, 
/**
 * As in [`OptionsPatch`].
 */
minP: number, 
/**
 * As in [`OptionsPatch`].
 */
repeatPenalty: number, 
/**
 * As in [`OptionsPatch`].
 */
maxNewTokens: number, 
/**
 * As in [`OptionsPatch`].
 */
stop: Array<string>, 
/**
 * Attention sinks asked for; the system part counts even when it is longer.
 */
sinkTokens: number, 
/**
 * Window asked for; `started` says the one in force.
 */
windowTokens: number, 
/**
 * The model asked for; `started` says the one that answers. Empty in logs of before there was a choice.
 */
model: string, };

/**
 * Own fields of `started`.
 */
export type Started = { 
/**
 * The model's name.
 */
model: string, 
/**
 * Tokens that this turn adds to the prompt, or brings back into it.
 */
promptTokens: number, 
/**
 * Tokens in view that needed no work.
 */
cachedTokens: number, 
/**
 * The window in force; smaller than asked for when the model's trained context is.
 */
windowTokens: number, };

/**
 * Own fields of `token`.
 */
export type Token = { 
/**
 * Whole characters, never none.
 */
token: string, 
/**
 * When several events were joined for a slow reader: the first one's `seq`; the frame's `seq` is the last one's.
 */
firstSeq?: number, };

/**
 * Own fields of `reasoning`.
 */
export type Reasoning = { 
/**
 * Whole characters, never none.
 */
token: string, };

/**
 * Own fields of `tool`.
 */
export type Tool = { 
/**
 * Names the call within its turn; a `tool-output` answers it.
 */
callId: string, 
/**
 * The tool's name.
 */
name: string, 
/**
 * Its arguments.
 */
payload: unknown, };

/**
 * Own fields of `tool-output`.
 */
export type ToolOutput = { 
/**
 * The call that it answers.
 */
callId: string, 
/**
 * The tool's name.
 */
name: string, 
/**
 * What the tool gave.
 */
payload: unknown, };

/**
 * Own fields of `step-start`, `step` and `step-finish`.
 */
export type Step = { 
/**
 * Which step: 1, 2, 3 within a turn.
 */
step: number, 
/**
 * What it is, for people.
 */
title?: string, 
/**
 * What it is about, for programs.
 */
payload?: unknown, };

/**
 * Own fields of `summary`.
 */
export type Summary = { 
/**
 * Markdown.
 */
text: string, 
/**
 * Names the document that holds it.
 */
ref?: string, };

/**
 * Own fields of `narration`.
 */
export type Narration = { 
/**
 * What is said.
 */
text: string, 
/**
 * The same in a few words.
 */
headline?: string, 
/**
 * Who says it.
 */
source: NarrationSource, };

/**
 * Who says a [`Narration`].
 */
export type NarrationSource = "narrator" | "agent" | "system" | "user";

/**
 * Own fields of `evicted`.
 */
export type Evicted = { 
/**
 * How many tokens, since the last such event.
 */
tokens: number, 
/**
 * The turns of which nothing is left in view, oldest first.
 */
turns: Array<string>, };

/**
 * Own fields of `done`.
 */
export type Done = { 
/**
 * Why the answer ended.
 */
finishReason: FinishReason, 
/**
 * Counts of tokens.
 */
usage: Usage, 
/**
 * Durations.
 */
timings: Timings, };

/**
 * Why an answer ended.
 */
export type FinishReason = "stop" | "length" | "cancelled";

/**
 * Counts of tokens.
 */
export type Usage = { 
/**
 * As in `started`.
 */
promptTokens: number, 
/**
 * As in `started`.
 */
cachedTokens: number, 
/**
 * Tokens generated.
 */
completionTokens: number, 
/**
 * Attention sinks in force.
 */
sinkTokens: number, 
/**
 * Window in force.
 */
windowTokens: number, 
/**
 * Tokens that left the window during the turn.
 */
evictedTokens: number, 
/**
 * The context that the model was trained for.
 */
contextLimit: number, };

/**
 * Durations, in milliseconds.
 */
export type Timings = { 
/**
 * From the request to its prefill.
 */
queueMs: number, 
/**
 * Prefill.
 */
prefillMs: number, 
/**
 * From the request to the first token.
 */
firstTokenMs: number, 
/**
 * From the first token to the last.
 */
decodeMs: number, 
/**
 * Tokens after the first, per second of `decodeMs`.
 */
tokensPerSecond: number, };

/**
 * Own fields of `error`.
 */
export type ErrorEvent = { 
/**
 * What kind of fault.
 */
code: ErrorCode, 
/**
 * In words, for people.
 */
message: string, 
/**
 * Whether the same request may work later.
 */
retryable: boolean, };

/**
 * Own fields of `pong`.
 */
export type Pong = { 
/**
 * The ping's.
 */
id?: string, };

/**
 * Own fields of `reset`.
 */
export type Reset = { 
/**
 * The last `seq` of the conversation's log.
 */
lastSeq: number, };

/**
 * What kind of thing went wrong. The list is closed: a client may match all of it.
 */
export type ErrorCode = "invalid_request" | "unauthorised" | "forbidden" | "agent_not_found" | "conversation_not_found" | "gone" | "duplicate_turn" | "conflict" | "context_too_large" | "too_large" | "busy" | "draining" | "model_unavailable" | "upstream_failed" | "upstream_timeout" | "interrupted" | "slow_reader" | "controller_not_registered" | "relay_failed" | "relay_timeout" | "internal";

/**
 * Body of every error.
 */
export type ErrorBody = { 
/**
 * In words, for people.
 */
detail: string, 
/**
 * What kind of fault.
 */
code: ErrorCode, };

/**
 * An agent.
 */
export type Agent = { 
/**
 * Its id, which is its file's name.
 */
id: string, 
/**
 * Its name, for people.
 */
name: string, 
/**
 * Who it is and how it answers.
 */
system_prompt: string, 
/**
 * What it knows, as Markdown.
 */
markdown_context: string, };

/**
 * Answer of `GET /agents`.
 */
export type AgentList = { 
/**
 * All of them, by id.
 */
agents: Array<Agent>, };

/**
 * Body of `PUT /agents/{id}`.
 */
export type AgentDraft = { 
/**
 * Equals the path's when it is there.
 */
id?: string, 
/**
 * As in [`Agent`].
 */
name: string, 
/**
 * As in [`Agent`].
 */
system_prompt: string, 
/**
 * As in [`Agent`].
 */
markdown_context: string, };

/**
 * One line of `GET /conversations`.
 */
export type ConversationSummary = { 
/**
 * Its id.
 */
conversationId: string, 
/**
 * When its first turn began: RFC 3339, UTC, milliseconds.
 */
createdAt: string, 
/**
 * When its newest event was logged.
 */
updatedAt: string, 
/**
 * The turn that the next one follows.
 */
headTurnId: string | null, 
/**
 * The last `seq` of its log.
 */
lastSeq: number, };

/**
 * Answer of `GET /conversations`.
 */
export type ConversationPage = { 
/**
 * The newest first.
 */
conversations: Array<ConversationSummary>, 
/**
 * What to ask for next, as `?cursor=`; `null` at the end.
 */
nextCursor: string | null, };

/**
 * Answer of `GET /conversations/{id}`.
 */
export type Conversation = { 
/**
 * Its turns, the oldest first: a tree by `parentTurnId`.
 */
turns: Array<Turn>, 
/**
 * What to ask for next, as `?cursor=`; `null` at the end.
 */
nextCursor: string | null, 
/**
 * Its id.
 */
conversationId: string, 
/**
 * When its first turn began: RFC 3339, UTC, milliseconds.
 */
createdAt: string, 
/**
 * When its newest event was logged.
 */
updatedAt: string, 
/**
 * The turn that the next one follows.
 */
headTurnId: string | null, 
/**
 * The last `seq` of its log.
 */
lastSeq: number, };

/**
 * One turn.
 */
export type Turn = { 
/**
 * Its id.
 */
turnId: string, 
/**
 * The turn that it follows.
 */
parentTurnId: string | null, 
/**
 * Where it stands.
 */
state: TurnState, 
/**
 * The agent that answers.
 */
agentId: string, 
/**
 * Hash of that agent as it was.
 */
agentHash: string, 
/**
 * What the user said.
 */
userText: string, 
/**
 * The answer so far.
 */
answerText: string, 
/**
 * The options in force.
 */
options: EffectiveOptions, 
/**
 * Its seed.
 */
seed: number, 
/**
 * The `seq` of its `user` event.
 */
firstSeq: number, 
/**
 * When it began: RFC 3339, UTC, milliseconds.
 */
createdAt: string, 
/**
 * When it ended.
 */
endedAt: string | null, };

/**
 * Where a turn stands.
 */
export type TurnState = "pending" | "streaming" | "done" | "cancelled" | "failed" | "interrupted";

/**
 * Answer of `POST /conversations/{id}/turns`.
 */
export type TurnAccepted = { 
/**
 * The conversation.
 */
conversationId: string, 
/**
 * The turn.
 */
turnId: string, 
/**
 * The `seq` of its `user` event: what comes of it is at and after that.
 */
firstSeq: number, };

/**
 * Body of `POST /conversations/{id}/turns/{turnId}/tool-output`.
 */
export type CallOutput = { 
/**
 * The call that this answers.
 */
callId: string, 
/**
 * What the tool gave; anything, `null` too.
 */
output: unknown, };

/**
 * Body of `PUT /conversations/{id}/head`.
 */
export type HeadChoice = { 
/**
 * The turn that the next message follows.
 */
turnId: string, };

/**
 * Answer of `POST /conversations/import`.
 */
export type ConversationImported = { 
/**
 * The conversation, under its new id if it was given one.
 */
conversationId: string, 
/**
 * How many turns it has.
 */
turns: number, 
/**
 * How many events its log has.
 */
events: number, };

/**
 * Answer of `GET /conversations/{id}/events`.
 */
export type EventPage = { 
/**
 * Frames exactly as a socket would send them, in order.
 */
events: Array<ServerEvent & Envelope>, 
/**
 * The last `seq` of the log; more events follow while it is above the last one here.
 */
lastSeq: number, };

/**
 * Answer of `GET /healthz` and `GET /health`.
 */
export type Health = { 
/**
 * Always `ok`: a process that can't say so says nothing.
 */
status: string, 
/**
 * The server's version.
 */
version: string, 
/**
 * Changes when the server starts anew.
 */
bootId: string, };

/**
 * Answer of `GET /readyz`.
 */
export type Readiness = { 
/**
 * Always `ready`.
 */
status: string, 
/**
 * What answers when nobody asks for another.
 */
model: string, };

/**
 * Answer of `GET /models`.
 */
export type ModelList = { 
/**
 * What answers when nobody asks for another.
 */
defaultModel: string, 
/**
 * Every model that a message may ask for, the default first, then those that the drivers' servers have.
 */
models: Array<Model>, };

/**
 * One model.
 */
export type Model = { 
/**
 * Its name, as an agent's `model` and `options.model` say it.
 */
model: string, 
/**
 * What runs it: `local`, `ollama` or `openai`.
 */
driver: string, 
/**
 * Whether a message may ask for it; another one answers only for agents that name it.
 */
allowed: boolean, 
/**
 * Whether it is there: its files are read, or its server has it.
 */
available: boolean, 
/**
 * Whether it is in memory, where that can be known.
 */
loaded?: boolean, 
/**
 * Why it isn't available.
 */
reason?: string, };

/**
 * Answer of `GET /conversations/{id}/prompt?turn=`: what the model saw of one turn.
 */
export type Prompt = { 
/**
 * The conversation.
 */
conversationId: string, 
/**
 * The turn.
 */
turnId: string, 
/**
 * Fingerprint of the model that answered; `null` when none has begun to.
 */
model: string | null, 
/**
 * Whether the model that is loaded now is that one. When not, ids are this model's rendering of the same words.
 */
sameModel: boolean, 
/**
 * The turn's own segment: its message, with the template's words around it.
 */
segment: PromptPart, 
/**
 * The turn that the epoch began with: replaying from there rebuilds the whole prompt.
 */
epochTurnId: string | null, 
/**
 * Which tokens of the epoch's prompt are in view when the answer begins.
 */
window: PromptWindow, 
/**
 * The whole prompt's parts, without their words.
 */
parts: Array<PromptPart>, 
/**
 * sha256 of the epoch's prompt as text up to the answer, hexadecimal.
 */
textSha256: string, 
/**
 * sha256 of its token ids, each as 4 bytes little endian, hexadecimal.
 */
idsSha256: string, 
/**
 * The agent as the turn saw it.
 */
agent: Agent, };

/**
 * One part of a prompt.
 */
export type PromptPart = { 
/**
 * What it is.
 */
kind: PromptPartKind, 
/**
 * Its turn; absent for the system part.
 */
turnId?: string, 
/**
 * Place of its first token in the epoch's prompt.
 */
start: number, 
/**
 * Place after its last token.
 */
end: number, 
/**
 * Its words, special tokens spelled out; only of the turn that was asked for.
 */
text?: string, 
/**
 * Its token ids; only of the turn that was asked for.
 */
ids?: Array<number>, };

/**
 * What a [`PromptPart`] holds.
 */
export type PromptPartKind = "system" | "user" | "assistant" | "tool";

/**
 * Which tokens of a prompt are in view: the sinks, and `start..end`.
 */
export type PromptWindow = { 
/**
 * Tokens at the beginning that never leave: the system part, at least.
 */
sinkTokens: number, 
/**
 * Place of the window's first token.
 */
start: number, 
/**
 * Place after its last one: the prompt's length.
 */
end: number, };

/**
 * Body of `POST /narrator/messages`.
 */
export type NarratorMessage = { 
/**
 * The workspace; equals the path's when both name one.
 */
workspaceId?: string, 
/**
 * What is said to the narrator; not blank.
 */
message?: string, 
/**
 * Where the narration goes; the workspace's own conversation when absent.
 */
conversationId?: string, 
/**
 * The agent that is asked; `controller` when absent.
 */
agentId?: string, };

/**
 * Answer of `POST /narrator/messages`.
 */
export type NarratorAccepted = { 
/**
 * The workspace.
 */
workspaceId: string, 
/**
 * The conversation whose readers get the narration.
 */
conversationId: string, 
/**
 * The message's own line in the narrator's log.
 */
eventId: string, 
/**
 * The work on it: every line of the log that comes of it has this id.
 */
taskId: string, };

/**
 * Answer of `GET /narrator/feed`.
 */
export type NarratorFeed = { 
/**
 * The workspace.
 */
workspaceId: string, 
/**
 * The conversation that was asked for, or the workspace's own.
 */
conversationId: string, 
/**
 * Names the document with the workspace's summary, once there is one.
 */
summaryRef?: string, 
/**
 * The newest first.
 */
events: Array<FeedEvent>, };

/**
 * One entry of a [`NarratorFeed`].
 */
export type FeedEvent = { 
/**
 * Its id.
 */
id: string, 
/**
 * When it happened: RFC 3339, UTC, milliseconds.
 */
timestamp: string, 
/**
 * What it is.
 */
type: FeedEventType, 
/**
 * In a few words.
 */
headline: string, 
/**
 * In full.
 */
detail: string, 
/**
 * How much it matters.
 */
severity: FeedSeverity, 
/**
 * Who says it.
 */
source: NarrationSource, 
/**
 * The playbook that it follows, where the relay named one.
 */
playbookId?: string, };

/**
 * What a [`FeedEvent`] is.
 */
export type FeedEventType = "narration" | "agent-update" | "agent-result" | "suppressed" | "summary" | "error";

/**
 * How much a [`FeedEvent`] matters.
 */
export type FeedSeverity = "info" | "warning" | "error";

/**
 * Body of an error of the relay: an [`ErrorBody`](crate::ErrorBody) that says the code as `error` too, as the host application reads it.
 */
export type RelayErrorBody = { 
/**
 * `relay_failed` or `relay_timeout`.
 */
error: ErrorCode, 
/**
 * In words, for people.
 */
detail: string, 
/**
 * As `error`.
 */
code: ErrorCode, };

/**
 * Body of `POST /controllers`.
 */
export type ControllerRegistration = { 
/**
 * The agent that the controller speaks for.
 */
agentId: string, 
/**
 * Its workspace; every workspace when absent.
 */
workspaceId?: string, 
/**
 * How long the lease lasts unless it is kept alive, in seconds: 1 to 3,600; 60 when absent.
 */
ttlSeconds?: number, };

/**
 * Answer of `POST /controllers`.
 */
export type ControllerLease = { 
/**
 * Names the registration in paths.
 */
registrationId: string, 
/**
 * Shown as `X-Controller-Token` by its holder. It is told only here.
 */
token: string, 
/**
 * When the lease ends: RFC 3339, UTC, milliseconds.
 */
expiresAt: string, };

/**
 * Answer of `PUT /controllers/{id}/keepalive`.
 */
export type ControllerKeptAlive = { 
/**
 * The registration.
 */
registrationId: string, 
/**
 * When the lease ends now.
 */
expiresAt: string, };

/**
 * Answer of `GET /controllers`.
 */
export type ControllerList = { 
/**
 * Those whose lease lives, by agent and workspace.
 */
controllers: Array<Controller>, };

/**
 * A controller whose lease lives.
 */
export type Controller = { 
/**
 * The registration; absent for the server's own lease, which gives way to any other.
 */
registrationId?: string, 
/**
 * The agent.
 */
agentId: string, 
/**
 * Its workspace; absent for all of them.
 */
workspaceId?: string, 
/**
 * When the lease ends; absent for the server's own, which doesn't.
 */
expiresAt?: string, };

/**
 * Body of `POST /controllers/{id}/events`.
 */
export type ControllerEvents = { 
/**
 * The conversation; made when it is new.
 */
conversationId: string, 
/**
 * The turn that the events are about, also one that is over.
 */
turnId?: string, 
/**
 * 1 to 64 of them, in order. All are logged, or none.
 */
events: Array<ControllerEvent>, };

/**
 * What a controller may publish; as the [`ServerEvent`] of the same name.
 */
export type ControllerEvent = { "type": "step-start" } & Step | { "type": "step" } & Step | { "type": "step-finish" } & Step | { "type": "tool" } & Tool | { "type": "tool-output" } & ToolOutput | { "type": "summary" } & Summary | { "type": "narration" } & Narration;

/**
 * Answer of `POST /controllers/{id}/events`.
 */
export type ControllerPublished = { 
/**
 * The first event's number in the conversation's log.
 */
firstSeq: number, 
/**
 * The last one's.
 */
lastSeq: number, };
