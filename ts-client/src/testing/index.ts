// A scripted sidecar inside of the test's own process: the public API for a host's tests. Everything else is
// private.
//
// Node only, and it needs the package `ws`. It uses no model, no binary and no network beyond 127.0.0.1, and
// its answers are deterministic: without `tokenDelayMs` nothing in it waits.
export { startSidecarHarness } from './harness.js'
export type { HarnessOptions, SidecarHarness } from './harness.js'
export type {
  Answer,
  AnswerFunction,
  CutAnswer,
  ErrorAnswer,
  HeldAnswer,
  PlainAnswer,
  ReasonedAnswer,
  ScriptedMessage,
  ToolRequest
} from './answers.js'
export type { RelayAnswer, RelayOptions } from './narrator.js'
export type { ReceivedFrame, ReceivedHttp, ReceivedRequest } from './requests.js'
