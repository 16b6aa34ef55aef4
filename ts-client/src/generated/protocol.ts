// Generated from the Rust types in crates/protocol: change those, then run
// UPDATE_GENERATED=1 cargo nextest run -p streaming-llm-protocol typescript

/**
 * One text frame from a client.
 */
export type ClientMessage = { "type": "hello" } & Hello | { "type": "message" } & Message | { "type": "regenerate" } & Regenerate | { "type": "cancel" } & Cancel | { "type": "resume" } & Resume | { "type": "leave" } & Leave | { "type": "tool-output" } & ToolAnswer | { "type": "ping" } & Ping;

/**
 * The first frame of a socket, if it isn't a message.
 */
export type Hello = { 
/**
 * The agent that answers messages without an agent.
 */
agentId?: string, 
/**
 * The conversation of messages without a conversation.
 */
conversationId?: string, 
/**
 * Options of all messages, which each message's own options override.
 */
options?: OptionsPatch, 
/**
 * The API key, if the server requires one.
 */
apiKey?: string, };

/**
 * Starts a user's turn. As the first frame of a socket it is also its hello.
 */
export type Message = { 
/**
 * The user's text.
 */
message: string, 
/**
 * The agent that answers.
 */
agentId?: string, 
/**
 * The conversation; a new one if neither this nor the hello names one.
 */
conversationId?: string, 
/**
 * Options of this turn.
 */
options?: OptionsPatch, 
/**
 * The turn's id, chosen by the client: sent again, it joins the turn instead of starting another.
 */
turnId?: string, 
/**
 * The turn that this one follows; by default the conversation's head.
 */
parentTurnId?: string, 
/**
 * The turn of which this one is a sibling, with another text; excludes `parentTurnId`.
 */
editTurnId?: string, 
/**
 * Tools that the model may call in this turn, in place of the agent's.
 */
tools?: Array<ToolDefinition>, 
/**
 * The API key, if the server requires one and this is the first frame.
 */
apiKey?: string, };

/**
 * Answers a user's message once more, in a sibling of its turn.
 */
export type Regenerate = { 
/**
 * The turn whose message is answered once more.
 */
turnId: string, 
/**
 * The turn's conversation; by default the socket's current one.
 */
conversationId?: string, 
/**
 * The new turn's id, chosen by the client: sent again, it joins that turn.
 */
newTurnId?: string, 
/**
 * Options of the new turn, as in a message.
 */
options?: OptionsPatch, 
/**
 * Tools of the new turn, as in a message.
 */
tools?: Array<ToolDefinition>, 
/**
 * The API key, if the server requires one and this is the first frame.
 */
apiKey?: string, };

/**
 * Cancels turns.
 */
export type Cancel = { 
/**
 * The turn; all turns that the socket owns if absent.
 */
turnId?: string, 
/**
 * The turn's conversation; by default the socket's current one.
 */
conversationId?: string, };

/**
 * Reads a conversation's log, then follows it.
 */
export type Resume = { 
/**
 * The conversation.
 */
conversationId: string, 
/**
 * The last `seq` that the client has; only later events are sent. Absent: only new events.
 */
after?: number, 
/**
 * True to own the turns that run in the conversation.
 */
own?: boolean, 
/**
 * The API key, if the server requires one and this is the first frame.
 */
apiKey?: string, };

/**
 * Stops reading a conversation's log.
 */
export type Leave = { 
/**
 * The conversation.
 */
conversationId: string, };

/**
 * Answers a `tool` event.
 */
export type ToolAnswer = { 
/**
 * The turn of the call.
 */
turnId: string, 
/**
 * The call that this answers.
 */
callId: string, 
/**
 * The tool's output: any JSON value, also `null`.
 */
output: unknown, 
/**
 * The turn's conversation; by default the socket's current one.
 */
conversationId?: string, };

/**
 * A tool that a model may call.
 */
export type ToolDefinition = { 
/**
 * `[A-Za-z0-9_-]{1,64}`, unique among a turn's tools.
 */
name: string, 
/**
 * What the tool does, in words for the model.
 */
description?: string, 
/**
 * JSON Schema of the arguments, an object; without arguments by default.
 */
parameters?: Record<string, unknown>, };

/**
 * Asks for a `pong`.
 */
export type Ping = { 
/**
 * Returned in the `pong`.
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
 * One event. The log holds its own fields; the frame's [`Envelope`] adds `seq` and the ids.
 */
export type ServerEvent = { "type": "ready" } & Ready | { "type": "queued" } & Queued | { "type": "user" } & User | { "type": "started" } & Started | { "type": "token" } & Token | { "type": "reasoning" } & Reasoning | { "type": "tool" } & Tool | { "type": "tool-output" } & ToolOutput | { "type": "step-start" } & Step | { "type": "step" } & Step | { "type": "step-finish" } & Step | { "type": "summary" } & Summary | { "type": "narration" } & Narration | { "type": "evicted" } & Evicted | { "type": "done" } & Done | { "type": "error" } & ErrorEvent | { "type": "pong" } & Pong | { "type": "reset" } & Reset;

/**
 * The keys of a frame beside its event's own fields. Logged events have all four.
 */
export type Envelope = { 
/**
 * The event's number in its conversation's log, counted from 1.
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
 * When the event was logged: RFC 3339, UTC, milliseconds.
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
 * The agent that the socket is bound to, if there is one.
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
 * Changes with each start of the server.
 */
bootId: string, };

/**
 * Own fields of `queued`.
 */
export type Queued = { 
/**
 * Turns of the conversation that run or wait before this one.
 */
ahead: number, };

/**
 * The limits in force.
 */
export type Limits = { 
/**
 * Most bytes of one WebSocket message.
 */
frameBytes: number, 
/**
 * Most bytes of one user message, as UTF-8.
 */
messageBytes: number, 
/**
 * Most bytes of one HTTP body.
 */
bodyBytes: number, 
/**
 * Most conversations that one socket may read at a time.
 */
conversationsPerSocket: number, 
/**
 * Most turns of one conversation that may wait behind the running one.
 */
waitingTurns: number, 
/**
 * Most frames that may wait to be written to one socket.
 */
outboundFrames: number, 
/**
 * Most bytes that may wait to be written to one socket.
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
 * Most stop strings of one turn.
 */
stopStrings: number, 
/**
 * Most bytes of one stop string, as UTF-8.
 */
stopStringBytes: number, 
/**
 * Highest value of `maxNewTokens`.
 */
maxNewTokens: number, };

/**
 * Own fields of `user`.
 */
export type User = { 
/**
 * The user's message.
 */
text: string, 
/**
 * The agent that answers.
 */
agentId: string, 
/**
 * Hash of the agent as it was when the turn began: sha256, hexadecimal.
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
 * The turn that this one follows; `null` for a conversation's first turn.
 */
parentTurnId: string | null, };

/**
 * The options of a turn; its seed is a field of its own in the `user` event.
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
 * Requested number of attention sinks; a longer system part has precedence.
 */
sinkTokens: number, 
/**
 * Requested window; `started` names the one in force.
 */
windowTokens: number, 
/**
 * Requested model; `started` names the one that answers. Empty in logs from before there was a choice.
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
 * Prompt tokens that have to be prefilled.
 */
promptTokens: number, 
/**
 * Tokens in view that were cached.
 */
cachedTokens: number, 
/**
 * The window in force; smaller than requested if the model's trained context is.
 */
windowTokens: number, };

/**
 * Own fields of `token`.
 */
export type Token = { 
/**
 * Whole characters, never empty.
 */
token: string, 
/**
 * The first event's `seq` if several were joined for a slow reader; the frame's `seq` is then the last one's.
 */
firstSeq?: number, };

/**
 * Own fields of `reasoning`.
 */
export type Reasoning = { 
/**
 * Whole characters, never empty.
 */
token: string, };

/**
 * Own fields of `tool`.
 */
export type Tool = { 
/**
 * Identifies the call within its turn; a `tool-output` answers it.
 */
callId: string, 
/**
 * The tool's name.
 */
name: string, 
/**
 * The arguments.
 */
payload: unknown, };

/**
 * Own fields of `tool-output`.
 */
export type ToolOutput = { 
/**
 * The call that this answers.
 */
callId: string, 
/**
 * The tool's name.
 */
name: string, 
/**
 * The tool's output.
 */
payload: unknown, };

/**
 * Own fields of `step-start`, `step` and `step-finish`.
 */
export type Step = { 
/**
 * The step's number within a turn, counted from 1.
 */
step: number, 
/**
 * Title of the step, for people.
 */
title?: string, 
/**
 * Content of the step, for programs.
 */
payload?: unknown, };

/**
 * Own fields of `summary`.
 */
export type Summary = { 
/**
 * The summary, as Markdown.
 */
text: string, 
/**
 * The name of the document that holds it.
 */
ref?: string, };

/**
 * Own fields of `narration`.
 */
export type Narration = { 
/**
 * The remark.
 */
text: string, 
/**
 * A short form of the remark.
 */
headline?: string, 
/**
 * The author.
 */
source: NarrationSource, };

/**
 * The author of a [`Narration`].
 */
export type NarrationSource = "narrator" | "agent" | "system" | "user";

/**
 * Own fields of `evicted`.
 */
export type Evicted = { 
/**
 * Tokens evicted since the last such event.
 */
tokens: number, 
/**
 * The turns without any token left in view, oldest first.
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
 * The kind of error.
 */
code: ErrorCode, 
/**
 * In words, for people.
 */
message: string, 
/**
 * True if the same request may succeed later.
 */
retryable: boolean, };

/**
 * Own fields of `pong`.
 */
export type Pong = { 
/**
 * The id of the ping.
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
 * The kind of an error. The list is closed: a client may match it exhaustively.
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
 * The kind of error.
 */
code: ErrorCode, };

/**
 * An agent.
 */
export type Agent = { 
/**
 * The id, which is the name of the agent's file.
 */
id: string, 
/**
 * The name, for people.
 */
name: string, 
/**
 * Who the agent is and how it answers.
 */
system_prompt: string, 
/**
 * What the agent knows, as Markdown.
 */
markdown_context: string, };

/**
 * Answer of `GET /agents`.
 */
export type AgentList = { 
/**
 * All agents, by id.
 */
agents: Array<Agent>, };

/**
 * Body of `PUT /agents/{id}`.
 */
export type AgentDraft = { 
/**
 * Equals the path's id, if present.
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
 * One conversation of `GET /conversations`.
 */
export type ConversationSummary = { 
/**
 * The conversation's id.
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
 * The conversations, newest first.
 */
conversations: Array<ConversationSummary>, 
/**
 * The next page's `?cursor=`; `null` at the end.
 */
nextCursor: string | null, };

/**
 * Answer of `GET /conversations/{id}`.
 */
export type Conversation = { 
/**
 * Its turns, oldest first: a tree by `parentTurnId`.
 */
turns: Array<Turn>, 
/**
 * The next page's `?cursor=`; `null` at the end.
 */
nextCursor: string | null, 
/**
 * The conversation's id.
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
 * The turn's id.
 */
turnId: string, 
/**
 * The turn that it follows.
 */
parentTurnId: string | null, 
/**
 * The turn's progress.
 */
state: TurnState, 
/**
 * The agent that answers.
 */
agentId: string, 
/**
 * Hash of that agent as it was when the turn began.
 */
agentHash: string, 
/**
 * The user's message.
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
 * The seed.
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
 * The progress of a turn.
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
 * The `seq` of the turn's `user` event, which is its first.
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
 * The tool's output: any JSON value, also `null`.
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
 * The conversation's id, which is the new one if one was given.
 */
conversationId: string, 
/**
 * Number of its turns.
 */
turns: number, 
/**
 * Number of the events in its log.
 */
events: number, };

/**
 * Answer of `GET /conversations/{id}/events`.
 */
export type EventPage = { 
/**
 * The events as the frames that a socket would send, in order.
 */
events: Array<ServerEvent & Envelope>, 
/**
 * The last `seq` of the log; more events follow while it is above that of the last event here.
 */
lastSeq: number, };

/**
 * Answer of `GET /healthz` and `GET /health`.
 */
export type Health = { 
/**
 * Always `ok`: a process that doesn't serve sends no answer.
 */
status: string, 
/**
 * The server's version.
 */
version: string, 
/**
 * Changes with each start of the server.
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
 * The default model.
 */
model: string, };

/**
 * Answer of `GET /models`.
 */
export type ModelList = { 
/**
 * The model that answers unless an agent or a message names another.
 */
defaultModel: string, 
/**
 * All models that a message may ask for, the default first, then those that the drivers' servers have.
 */
models: Array<Model>, };

/**
 * One model.
 */
export type Model = { 
/**
 * The name, as in an agent's `model` and in `options.model`.
 */
model: string, 
/**
 * The driver that runs it: `local`, `ollama` or `openai`.
 */
driver: string, 
/**
 * True if a message may ask for it; otherwise it answers only for agents that name it.
 */
allowed: boolean, 
/**
 * True if its files are loaded, or its server has it.
 */
available: boolean, 
/**
 * True if it is in memory; absent if that is unknown.
 */
loaded?: boolean, 
/**
 * Why it isn't available.
 */
reason?: string, };

/**
 * Answer of `GET /conversations/{id}/prompt?turn=`: the prompt that the model saw for one turn.
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
 * Fingerprint of the model that answered; `null` if no answer was started.
 */
model: string | null, 
/**
 * True if that model is loaded now. Otherwise the ids are the loaded model's rendering of the same text.
 */
sameModel: boolean, 
/**
 * The turn's own segment: its message, with the template's text around it.
 */
segment: PromptPart, 
/**
 * The first turn of the epoch: replaying from there rebuilds the whole prompt.
 */
epochTurnId: string | null, 
/**
 * Which tokens of the epoch's prompt are in view when the answer begins.
 */
window: PromptWindow, 
/**
 * The parts of the whole prompt, without their text.
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
 * The content of the part.
 */
kind: PromptPartKind, 
/**
 * The turn; absent for the system part.
 */
turnId?: string, 
/**
 * Index of the first token in the epoch's prompt.
 */
start: number, 
/**
 * Index after the last token.
 */
end: number, 
/**
 * The text, special tokens spelled out; only for the requested turn.
 */
text?: string, 
/**
 * The token ids; only for the requested turn.
 */
ids?: Array<number>, };

/**
 * The content of a [`PromptPart`].
 */
export type PromptPartKind = "system" | "user" | "assistant" | "tool";

/**
 * Which tokens of a prompt are in view: the sinks, and `start..end`.
 */
export type PromptWindow = { 
/**
 * Tokens at the beginning that are never evicted: at least the system part.
 */
sinkTokens: number, 
/**
 * Index of the window's first token.
 */
start: number, 
/**
 * Index after its last token: the prompt's length.
 */
end: number, };

/**
 * Body of `POST /narrator/messages`.
 */
export type NarratorMessage = { 
/**
 * The workspace; equals the path's if both name one.
 */
workspaceId?: string, 
/**
 * The message to the narrator; not blank.
 */
message?: string, 
/**
 * The conversation that receives the narration; the workspace's own if absent.
 */
conversationId?: string, 
/**
 * The agent that answers; `controller` if absent.
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
 * The conversation that receives the narration.
 */
conversationId: string, 
/**
 * The id of the message's line in the narrator's log.
 */
eventId: string, 
/**
 * The id of the task that answers the message; all its lines in the log have this id.
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
 * The requested conversation, or the workspace's own.
 */
conversationId: string, 
/**
 * The name of the document with the workspace's summary; absent until there is one.
 */
summaryRef?: string, 
/**
 * The entries, newest first.
 */
events: Array<FeedEvent>, };

/**
 * One entry of a [`NarratorFeed`].
 */
export type FeedEvent = { 
/**
 * The id of its line in the narrator's log.
 */
id: string, 
/**
 * When it happened: RFC 3339, UTC, milliseconds.
 */
timestamp: string, 
/**
 * What the entry reports.
 */
type: FeedEventType, 
/**
 * A short form of the text.
 */
headline: string, 
/**
 * The whole text.
 */
detail: string, 
/**
 * How serious the entry is.
 */
severity: FeedSeverity, 
/**
 * The author.
 */
source: NarrationSource, 
/**
 * The playbook that the narration follows, if the relay named one.
 */
playbookId?: string, };

/**
 * What a [`FeedEvent`] reports.
 */
export type FeedEventType = "narration" | "agent-update" | "agent-result" | "suppressed" | "summary" | "error";

/**
 * How serious a [`FeedEvent`] is.
 */
export type FeedSeverity = "info" | "warning" | "error";

/**
 * Body of a relay's error: an [`ErrorBody`](crate::ErrorBody) with the code as `error` too, for the host application.
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
 * The same as `error`.
 */
code: ErrorCode, };

/**
 * Body of `POST /controllers`.
 */
export type ControllerRegistration = { 
/**
 * The agent that the controller publishes for.
 */
agentId: string, 
/**
 * The agent's workspace; every workspace if absent.
 */
workspaceId?: string, 
/**
 * Duration of the lease unless it is kept alive, in seconds: 1 to 3,600; 60 if absent.
 */
ttlSeconds?: number, };

/**
 * Answer of `POST /controllers`.
 */
export type ControllerLease = { 
/**
 * Identifies the registration in paths.
 */
registrationId: string, 
/**
 * The holder's secret, sent as `X-Controller-Token`. Returned only here.
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
 * The lease's new end: RFC 3339, UTC, milliseconds.
 */
expiresAt: string, };

/**
 * Answer of `GET /controllers`.
 */
export type ControllerList = { 
/**
 * Controllers with an active lease, by agent and workspace.
 */
controllers: Array<Controller>, };

/**
 * A controller with an active lease.
 */
export type Controller = { 
/**
 * The registration; absent for the server's own lease, which any other replaces.
 */
registrationId?: string, 
/**
 * The agent.
 */
agentId: string, 
/**
 * The agent's workspace; absent for all of them.
 */
workspaceId?: string, 
/**
 * When the lease ends; absent for the server's own, which doesn't end.
 */
expiresAt?: string, };

/**
 * Body of `POST /controllers/{id}/events`.
 */
export type ControllerEvents = { 
/**
 * The conversation, which is created if it is new.
 */
conversationId: string, 
/**
 * The turn that the events belong to, which may be over.
 */
turnId?: string, 
/**
 * 1 to 64 events, in order. All are logged, or none.
 */
events: Array<ControllerEvent>, };

/**
 * An event that a controller may publish; the same as the [`ServerEvent`] of that name.
 */
export type ControllerEvent = { "type": "step-start" } & Step | { "type": "step" } & Step | { "type": "step-finish" } & Step | { "type": "tool" } & Tool | { "type": "tool-output" } & ToolOutput | { "type": "summary" } & Summary | { "type": "narration" } & Narration;

/**
 * Answer of `POST /controllers/{id}/events`.
 */
export type ControllerPublished = { 
/**
 * The first event's `seq` in the conversation's log.
 */
firstSeq: number, 
/**
 * The last event's `seq`.
 */
lastSeq: number, };
